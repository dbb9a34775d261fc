package main

import (
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// shownFor is how long what somebody was shown is remembered: longer than any approval waits.
const shownFor = 7 * 24 * time.Hour

// shownActions remembers, for each approval, the digest of the action that this user was shown last. A vote is for that:
// whoever can write to the store cannot show one thing and have another signed.
type shownActions struct{ dir string }

// shownHere keeps it where the user's programs keep their state (XDG Base Directory Specification).
func shownHere() shownActions {
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return shownActions{}
		}
		base = filepath.Join(home, ".local", "state")
	}
	return shownActions{filepath.Join(base, "sluice", "shown")}
}

// remember notes what was shown. What cannot be noted is shown again by approve.
func (s shownActions) remember(id string, digest []byte, now time.Time) {
	if s.dir == "" || !s.safe(id) || os.MkdirAll(s.dir, 0o700) != nil {
		return
	}
	s.sweep(now)
	_ = os.WriteFile(filepath.Join(s.dir, id), []byte(hex.EncodeToString(digest)+"\n"), 0o600)
}

// last is the digest of what was shown, nil if nothing was.
func (s shownActions) last(id string) []byte {
	if s.dir == "" || !s.safe(id) {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(s.dir, id)) //nolint:gosec // safe has looked at it
	if err != nil {
		return nil
	}
	digest, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil
	}
	return digest
}

// safe reports whether an id is a file's name and nothing more.
func (s shownActions) safe(id string) bool {
	return id != "" && strings.Trim(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-") == ""
}

func (s shownActions) sweep(now time.Time) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > shownFor {
			_ = os.Remove(filepath.Join(s.dir, e.Name()))
		}
	}
}

// minDigest is how much of a digest --yes-to needs, in hex digits.
const minDigest = 16

// agrees checks a digest that somebody gave, or its beginning, against that of what is held.
func agrees(given string, held []byte) error {
	full := hex.EncodeToString(held)
	given = strings.ToLower(given)
	switch {
	case len(given) < minDigest || len(given) > len(full):
		return fmt.Errorf("--yes-to: give at least the first %d digits of the digest that `sluice approvals show` prints", minDigest)
	case subtle.ConstantTimeCompare([]byte(given), []byte(full[:len(given)])) != 1:
		return errors.New("what is held is not what --yes-to names; look at it again: sluice approvals show")
	}
	return nil
}
