CREATE TABLE airports (
    icao      TEXT PRIMARY KEY NOT NULL CHECK (length(icao) = 4),
    iata      TEXT NOT NULL,
    name      TEXT NOT NULL,
    city      TEXT NOT NULL,
    country   TEXT NOT NULL,
    elevation REAL NOT NULL, -- feet above the sea
    lat       REAL NOT NULL,
    lon       REAL NOT NULL,
    tz        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
