package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheCertificateOfItsOwnIsMadeAgainBeforeItEnds: nobody else renews it.
func TestTheCertificateOfItsOwnIsMadeAgainBeforeItEnds(t *testing.T) {
	const day = 24 * time.Hour
	year := time.Until(time.Now().AddDate(1, 0, 0)) - time.Minute // it begins a minute early
	write := func(dir, name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		age    time.Duration
		change func(dir string)
		reason string // empty: it stays
	}{
		"new":                     {0, nil, ""},
		"with 31 days left":       {year - 31*day, nil, ""},
		"with 29 days left":       {year - 29*day, nil, "it ends at"},
		"after its end":           {year + day, nil, "it ends at"},
		"not to be read":          {0, func(dir string) { write(dir, "cert.pem", "nothing") }, "failed to find any PEM data"},
		"without its key":         {0, func(dir string) { _ = os.Remove(filepath.Join(dir, "key.pem")) }, "there is none"},
		"with the key of another": {0, func(dir string) { write(dir, "key.pem", read(t, makeNew(t), "key.pem")) }, "private key does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := makeNew(t)
			before := read(t, dir, "cert.pem")
			if c.change != nil {
				c.change(dir)
			}
			now := time.Now().Add(c.age)
			var log bytes.Buffer
			if err := localCertificate(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), dir, now); err != nil {
				t.Fatal(err)
			}
			if same := read(t, dir, "cert.pem") == before; same != (c.reason == "") || !strings.Contains(log.String(), c.reason) || same != (log.Len() == 0) {
				t.Errorf("the same: %v; log: %s", same, &log)
			}
			if c.reason == "" {
				return
			}
			pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
			if err != nil {
				t.Fatal(err)
			}
			pool, err := readPool(filepath.Join(dir, "ca.pem"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: "localhost", Roots: pool, CurrentTime: now.Add(300 * day)}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACertificateOfAnotherAuthorityIsNotMadeAgain(t *testing.T) {
	dir := makeNew(t)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		t.Fatalf("%T signs nothing", pair.PrivateKey)
	}
	soon := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "corp"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, soon, soon, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	chain := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte(chain), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := localCertificate(t.Context(), slog.New(slog.DiscardHandler), dir, time.Now()); err != nil || read(t, dir, "cert.pem") != chain {
		t.Errorf("it is another: %v", err)
	}
}

func makeNew(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := makeCertificate(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
