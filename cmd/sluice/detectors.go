package main

import (
	"encoding/json"

	"github.com/sluicegate/sluice/policies/detect"
)

type policyDetectors struct {
	format
}

// Run prints every detector that a mask may name. It asks nobody: the list is this binary's.
func (c *policyDetectors) Run(s streams) error {
	out := c.to(s.out)
	all := detect.Detectors()
	if out.JSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	rows := make([][]string, 0, len(all))
	for _, d := range all {
		maker := d.Maker
		if maker == "" {
			maker = "-"
		}
		rows = append(rows, []string{d.Name, d.What, maker})
	}
	return out.Table([]string{"DETECTOR", "FINDS", "MAKER"}, rows)
}
