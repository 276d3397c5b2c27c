package jobs

// Either is written by a helper; merged later.
func Either(first, second API) API { return first }
