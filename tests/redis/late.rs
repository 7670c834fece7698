//! A claim that reaches the server late while the server does not know its script.

use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Refresh};
use cache_kit_tests::late::{Case, MOMENTS, Scene, Tally};
use cache_kit_tests::servers::{RedisServer, Server, Trick};

#[tokio::test]
async fn a_script_that_the_server_does_not_know() {
    let claim = RedisServer::COMMANDS.claim;
    let server = RedisServer::start();
    let mut tally = Tally::default();
    for strategy in [Refresh, Bypass] {
        for moment in MOMENTS {
            // The command that is answered with NOSCRIPT, and the one that is sent then.
            for passed in [0, 1] {
                let scene = Scene::new(&server);
                assert!(server.command(&["SCRIPT", "FLUSH"]).is_ok());
                for _ in 0..passed {
                    let at_once = Trick::DelayAnswer(Duration::ZERO);
                    scene.proxy.on_next(claim.1, at_once);
                }
                let case = Case::of(std::slice::from_ref(&claim), strategy, moment);
                tally.play(scene, case).await;
            }
        }
    }
    tally.report();
}
