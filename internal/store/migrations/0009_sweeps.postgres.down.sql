-- Takes back what sweeps and replays remember.
DROP TABLE replays;
DROP TABLE sweep_findings;
DROP TABLE drift;
DROP INDEX reconcile_runs_one;
ALTER TABLE reconcile_runs DROP COLUMN beat_at;
ALTER TABLE sync_state DROP COLUMN walk_top;
DROP INDEX calls_logged;
