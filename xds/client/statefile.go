package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// The state file is one line and the bundle's encoding:
//
//	sluice-policy/1 <when the control plane was last seen, RFC 3339> <hex SHA-256 over that time and the bundle>
const (
	stateMagic = "sluice-policy/1"
	stateMode  = 0o600
	// skew is how far in the future a time may lie.
	skew = time.Minute
)

var errStateFile = errors.New("xds client: not a policy state file")

func encodeState(b *policyv1.Bundle, seen time.Time) ([]byte, error) {
	data, err := (proto.MarshalOptions{Deterministic: true}).Marshal(b)
	if err != nil {
		return nil, err
	}
	at := seen.UTC().Format(time.RFC3339Nano)
	return append(fmt.Appendf(nil, "%s %s %s\n", stateMagic, at, stateSum(at, data)), data...), nil
}

func decodeState(text []byte) (*policyv1.Bundle, time.Time, error) {
	line, data, ok := bytes.Cut(text, []byte("\n"))
	fields := strings.Split(string(line), " ")
	if !ok || len(fields) != 3 || fields[0] != stateMagic {
		return nil, time.Time{}, errStateFile
	}
	if fields[2] != stateSum(fields[1], data) {
		return nil, time.Time{}, fmt.Errorf("%w: its sum does not match", errStateFile)
	}
	seen, err := time.Parse(time.RFC3339Nano, fields[1])
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: %w", errStateFile, err)
	}
	b := &policyv1.Bundle{}
	if err := proto.Unmarshal(data, b); err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: %w", errStateFile, err)
	}
	if b.GetVersion() == "" {
		return nil, time.Time{}, fmt.Errorf("%w: the bundle has no version", errStateFile)
	}
	return b, seen, nil
}

func stateSum(at string, data []byte) string {
	h := sha256.New()
	_, _ = io.WriteString(h, at+"\n") // hash.Hash never returns an error
	_, _ = h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

// restore takes up the state file.
func (c *Client) restore(ctx context.Context) {
	if c.options.StateFile == "" {
		return
	}
	log := c.options.Logger.With(slog.String("file", c.options.StateFile))
	b, seen, err := readState(c.options.StateFile)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.WarnContext(ctx, "the kept policy cannot be used", slog.Any("error", err))
		}
		return
	}
	age := c.options.Now().Sub(seen)
	if age >= c.options.MaxAge || age < -skew {
		log.WarnContext(ctx, "the kept policy is not used: of another time", slog.String("age", age.Round(time.Second).String()))
		return
	}
	if err := c.apply(b, c.cutOff(seen)); err != nil {
		log.WarnContext(ctx, "the kept policy does not compile", slog.Any("error", err))
		return
	}
	c.seen.Store(&seen)
	log.InfoContext(ctx, "the kept policy is used", slog.String("version", b.GetVersion()), slog.String("age", age.Round(time.Second).String()))
}

// ReadState reads a file that WriteState wrote: a bundle, and when it was last known to be in force. The error is that of
// the file system, or says what of the file is not right.
func ReadState(path string) (*policyv1.Bundle, time.Time, error) { return readState(path) }

// WriteState keeps a bundle, with mode 0600, in one step that survives a crash.
func WriteState(path string, b *policyv1.Bundle, seen time.Time) error {
	text, err := encodeState(b, seen)
	if err != nil {
		return err
	}
	return writeFile(path, text)
}

func readState(path string) (*policyv1.Bundle, time.Time, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&^stateMode != 0 {
		return nil, time.Time{}, fmt.Errorf("%w: mode %v, want %04o", errStateFile, info.Mode(), stateMode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxMessage+1))
	if err != nil {
		return nil, time.Time{}, err
	}
	if len(text) > maxMessage {
		return nil, time.Time{}, fmt.Errorf("%w: larger than %d bytes", errStateFile, maxMessage)
	}
	return decodeState(text)
}

// keep writes the state file after each new bundle, often enough for its time to be right, and at the end.
func (c *Client) keep(ctx context.Context) {
	const often = 15
	tick := time.NewTicker(max(time.Second, c.options.MaxAge/often))
	defer tick.Stop()
	var written []byte
	for {
		end := false
		select {
		case <-ctx.Done():
			end = true
		case <-c.save:
		case <-tick.C:
		}
		if text := c.stateText(ctx); text != nil && !bytes.Equal(text, written) {
			if err := writeFile(c.options.StateFile, text); err != nil {
				c.options.Logger.ErrorContext(ctx, "the policy is not kept for a restart", slog.Any("error", err))
			} else {
				written = text
			}
		}
		if end {
			return
		}
	}
}

// stateText is what belongs into the file now; nil for nothing.
func (c *Client) stateText(ctx context.Context) []byte {
	s := c.state.Load()
	if s == nil || c.options.StateFile == "" {
		return nil
	}
	text, err := encodeState(s.bundle, c.lastSeen())
	if err != nil {
		c.options.Logger.ErrorContext(ctx, "the policy is not kept for a restart", slog.Any("error", err))
		return nil
	}
	return text
}

// writeFile replaces a file in one step, surviving a crash.
func writeFile(path string, text []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".policy-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	d, err := os.Open(dir) //nolint:gosec // the directory of the file that the operator names
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
