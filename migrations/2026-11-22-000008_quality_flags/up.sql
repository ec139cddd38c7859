-- What the analyst counts of how a partner reports: one row each time a flag appears, changes or ends (n = 0), the newest is in force.
-- `counted` of `n` are what the rule counts. Shares in thousandths; `peers` is the median of other partners', the vendor's alone.
CREATE TABLE todoku.quality_flag (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('too_many_tops', 'no_change', 'identical_texts')),
  found_on date NOT NULL,
  known_from timestamptz NOT NULL,
  n int NOT NULL CHECK (n >= 0),
  counted int NOT NULL CHECK (counted BETWEEN 0 AND n),
  share int NOT NULL CHECK (share BETWEEN 0 AND 1000),
  peers int CHECK (peers BETWEEN 0 AND 1000),
  customers int CHECK (customers >= 0),
  PRIMARY KEY (vendor_id, partner_id, kind, found_on),
  FOREIGN KEY (vendor_id, partner_id) REFERENCES todoku.partner (vendor_id, id));
