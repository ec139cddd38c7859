-- How partners stand among their peers, month by month; written once. Each partner reads its own.
CREATE TABLE todoku.peer_standing (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  -- The last day of the month.
  closed_on date NOT NULL,
  dimension text COLLATE "C" NOT NULL CHECK (dimension IN ('all', 'segment', 'touch_model')),
  -- All groups that are too small by themselves, together; then group_key is ''.
  others boolean NOT NULL,
  group_key text COLLATE "C" NOT NULL,
  known_from timestamptz NOT NULL,
  places jsonb NOT NULL,
  CHECK (NOT others OR group_key = ''),
  PRIMARY KEY (vendor_id, partner_id, closed_on, dimension, others, group_key),
  FOREIGN KEY (vendor_id, partner_id) REFERENCES todoku.partner (vendor_id, id));

-- Of which months of which vendors partners have been compared.
CREATE TABLE ops.compared_month (
  vendor_id uuid NOT NULL,
  closed_on date NOT NULL,
  PRIMARY KEY (vendor_id, closed_on));
