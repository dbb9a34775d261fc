package devidp

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// SecretsFile is the file in the directory that holds the client secrets: a JSON object, subject to secret.
	SecretsFile = "secrets.json"
	// keysFile holds the private signing keys.
	keysFile = "signing-keys.json"
)

// Secret reads one person's client secret from the directory of a provider.
func Secret(dir, subject string) (string, error) {
	var secrets map[string]string
	found, err := load(filepath.Join(dir, SecretsFile), &secrets)
	if err != nil {
		return "", err
	}
	if !found {
		return "", fmt.Errorf("devidp: no %s in %s; is the provider running?", SecretsFile, dir)
	}
	secret, ok := secrets[subject]
	if !ok {
		return "", fmt.Errorf("devidp: nobody is called %q", subject)
	}
	return secret, nil
}

// load reads a JSON file that only its owner may read. It reports whether there is one.
func load(path string, into any) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("devidp: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return false, fmt.Errorf("devidp: %s may be read by others (mode %#o): it holds secrets, make it 0600", path, info.Mode().Perm())
	}
	data, err := os.ReadFile(path) //nolint:gosec // the path is the operator's own directory
	if err != nil {
		return false, fmt.Errorf("devidp: %w", err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return false, fmt.Errorf("devidp: %s: %w", path, err)
	}
	return true, nil
}

// save writes a JSON file with mode 0600, whole or not at all.
func save(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("devidp: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("devidp: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("devidp: %w", err)
	}
	_, err = tmp.Write(append(data, '\n'))
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("devidp: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

// randomText is 192 random bits as base64url.
func randomText(random io.Reader) (string, error) {
	b := make([]byte, 24)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("devidp: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
