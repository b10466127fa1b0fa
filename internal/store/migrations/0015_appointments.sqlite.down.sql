-- Takes back what the up step made.
DROP VIEW opportunities;
DROP VIEW appointments;
DROP TABLE crm_items;
