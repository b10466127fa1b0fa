-- The least that a durable inbox needs: an event and its job.
CREATE TABLE event (
  id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key  text NOT NULL UNIQUE,
  body text NOT NULL
);
CREATE TABLE job (
  id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event bigint NOT NULL
);
