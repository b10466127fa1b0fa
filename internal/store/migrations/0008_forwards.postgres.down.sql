-- Takes back what the up step made.
DROP TABLE broadcasts;
DROP TABLE forwards;
