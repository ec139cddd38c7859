-- What a partner is told of those below it that show it their totals and not their customers, month by month; written once. Each partner reads its own.
CREATE TABLE todoku.month_total (
  vendor_id uuid NOT NULL,
  -- Who is told.
  partner_id uuid NOT NULL,
  -- The last day of the month.
  closed_on date NOT NULL,
  part int NOT NULL,
  -- Whose customers.
  members uuid[] NOT NULL,
  customers int NOT NULL CHECK (customers >= 5),
  -- In thousandths, of one or of a point.
  known_share int,
  mean_health int,
  share_at_risk int,
  report_rate int,
  known_from timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, partner_id, closed_on, part),
  FOREIGN KEY (vendor_id, partner_id) REFERENCES todoku.partner (vendor_id, id));
