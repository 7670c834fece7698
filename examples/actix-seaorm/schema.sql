CREATE TABLE IF NOT EXISTS customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL
);

INSERT OR IGNORE INTO customers VALUES
    (1, 'Ada', 'ada@example.org'),
    (2, 'Bob', 'bob@example.org'),
    (3, 'Cleo', 'cleo@example.org');
