-- Takes back what the up step made.
DROP TABLE calls;
