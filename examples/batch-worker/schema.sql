CREATE TABLE IF NOT EXISTS prices (
    sku TEXT NOT NULL PRIMARY KEY,
    cents INTEGER NOT NULL
);

-- What the worker is to do. A row is deleted when every process sees the new price. AUTOINCREMENT, since
-- a number that is used again could be that of a row which another worker is about to delete.
CREATE TABLE IF NOT EXISTS price_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sku TEXT NOT NULL,
    cents INTEGER NOT NULL,
    committed BOOLEAN NOT NULL DEFAULT FALSE
);

-- The total is NULL until the worker has computed it, and -1 if the sku has no price.
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY,
    sku TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    total_cents INTEGER
);

INSERT OR IGNORE INTO prices VALUES ('teapot', 2400), ('kettle', 3900), ('samovar', 18900);
