package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/xds/resources"
)

// Refresh reads the files that the bundle names again, such as certificates that were renewed, and sends Envoys what has
// changed. An error leaves all of them with what they have. Both are logged, once for each change; a failure stands in
// Status until it is over. It does nothing before there is a bundle.
func (s *Server) Refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bundle == nil {
		return nil
	}
	now, err := s.digests(s.bundle)
	if err != nil {
		if text := err.Error(); text != s.stale {
			s.stale = text
			s.options.Logger.ErrorContext(ctx, "rotation failed: the last good files stay in use",
				slog.String("part", "policy"), slog.Any("error", err))
		}
		return err
	}
	changed := differing(s.secrets, now)
	if len(changed) == 0 {
		if s.stale != "" {
			s.options.Logger.InfoContext(ctx, "rotation taken back: the files are those in use", slog.String("part", "policy"))
		}
		s.stale = ""
		return nil
	}
	snapshots, err := s.snapshots(s.bundle)
	if err != nil {
		return err
	}
	if err := s.send(context.WithoutCancel(ctx), snapshots); err != nil {
		return err
	}
	s.stale, s.secrets = "", now
	s.options.Logger.InfoContext(ctx, "rotation done", slog.String("part", "policy"), slog.Any("secrets", changed), slog.Int("envoys", len(snapshots)))
	return nil
}

// digests are those of the secrets that a bundle comes to with the files of this moment, by name.
func (s *Server) digests(b *policyv1.Bundle) (map[string]string, error) {
	built, err := resources.Build(b, resources.Node{ID: probe}, s.options.Resources)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(built.Secrets))
	for _, one := range built.Secrets {
		data, err := (proto.MarshalOptions{Deterministic: true}).Marshal(one)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		out[one.GetName()] = hex.EncodeToString(sum[:])
	}
	return out, nil
}

// differing are the names that two maps do not agree on, sorted.
func differing(a, b map[string]string) []string {
	names := map[string]bool{}
	for name, v := range a {
		if b[name] != v {
			names[name] = true
		}
	}
	for name, v := range b {
		if a[name] != v {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
