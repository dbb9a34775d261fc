package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

// Load reads a policy directory: its *.yaml and *.yml files, sorted by name, hidden ones and folders left out, their
// lists concatenated. The error is a *Faults with everything that is wrong, or that of ctx.
func Load(ctx context.Context, dir string) (*policyv1.Bundle, *policies.Policy, error) {
	res, err := Read(ctx, dir)
	switch {
	case err != nil:
		return nil, nil, err
	case res.Faults != nil:
		return nil, nil, res.Faults
	}
	return res.Bundle, res.Policy, nil
}

// Read is Load for who has a later step, whose faults are to be located. The error is that of ctx.
func Read(ctx context.Context, dir string) (Result, error) {
	r := read(dir)
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("policy directory: %w", err)
	}
	return evaluate(r), nil
}

// Result is what a directory holds: a bundle and what it compiles to, or faults.
type Result struct {
	Bundle *policyv1.Bundle
	Policy *policies.Policy
	Faults *Faults
	from   origins
}

// Locate finds faults of the bundle, such as those of a later step, in the files.
func (r Result) Locate(faults policies.Faults) *Faults { return newFaults(r.from.locate(faults)) }

// key is the same for the same content: what a watcher compares.
func (r Result) key() string {
	if r.Faults != nil {
		return "faults\n" + r.Faults.Error()
	}
	return r.Bundle.GetVersion()
}

func evaluate(r reading) Result {
	faults := append([]Fault(nil), r.faults...)
	fragments := make([]fragment, 0, len(r.files))
	for _, f := range r.files {
		one, found := decode(f)
		faults = append(faults, found...)
		fragments = append(fragments, one)
	}
	// What did not decode would make rules complain of things that are there.
	if all := newFaults(faults); all != nil {
		return Result{Faults: all}
	}
	bundle, from := merge(fragments)
	version, err := Version(bundle)
	if err != nil {
		return Result{Faults: newFaults([]Fault{{Message: err.Error()}})}
	}
	bundle.Version = version
	policy, err := policies.Compile(bundle)
	var wrong policies.Faults
	switch {
	case errors.As(err, &wrong):
		return Result{Faults: newFaults(from.locate(wrong)), from: from}
	case err != nil:
		return Result{Faults: newFaults([]Fault{{Message: err.Error()}})}
	}
	return Result{Bundle: bundle, Policy: policy, from: from}
}

// Version is the hex SHA-256 over the bundle's deterministic encoding without its version.
func Version(b *policyv1.Bundle) (string, error) {
	bare, ok := proto.Clone(b).(*policyv1.Bundle)
	if !ok {
		return "", errors.New("policy source: not a bundle")
	}
	bare.Version = ""
	data, err := (proto.MarshalOptions{Deterministic: true}).Marshal(bare)
	if err != nil {
		return "", fmt.Errorf("policy source: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
