CREATE TABLE IF NOT EXISTS products (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    price_cents INTEGER NOT NULL
);

INSERT OR IGNORE INTO products VALUES
    (1, 'Teapot', 2400),
    (2, 'Kettle', 3900),
    (3, 'Samovar', 18900);
