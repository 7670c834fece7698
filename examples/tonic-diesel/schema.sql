CREATE TABLE IF NOT EXISTS items (
    sku TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    stock BIGINT NOT NULL
);

INSERT OR IGNORE INTO items VALUES
    ('sku-1', 'Teapot', 12),
    ('sku-2', 'Kettle', 7),
    ('sku-3', 'Samovar', 1);
