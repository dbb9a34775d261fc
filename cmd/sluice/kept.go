package main

import (
	"errors"
	"io/fs"
	"time"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/xds/client"
)

// controlConfig is the part of the configuration that a control plane is made from.
type controlConfig = *configv1.Control

// keptBundle is the last good policy in a file of the state directory (mode 0600), for a restart beside a broken one. It
// holds names of secrets only.
type keptBundle struct {
	path    string
	version string // that is in the file, as far as this process knows
}

// write replaces the file in one step, if its policy is another.
func (k *keptBundle) write(b *policyv1.Bundle) error {
	if k.version == b.GetVersion() {
		return nil
	}
	if err := client.WriteState(k.path, b, time.Now()); err != nil {
		return err
	}
	k.version = b.GetVersion()
	return nil
}

// read gives the policy in the file; nil if there is no file. However old it is, it is what the nodes have.
func (k *keptBundle) read() (*policyv1.Bundle, *policies.Policy, error) {
	b, _, err := client.ReadState(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	p, err := policies.Compile(b)
	return b, p, err
}
