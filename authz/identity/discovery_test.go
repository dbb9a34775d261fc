package identity

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestParseKeysLeavesOutWhatCannotVerify(t *testing.T) {
	ed := `{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	for name, tt := range map[string]struct {
		in   string
		want int // keys, or -1 for an error
	}{
		"one good":            {`{"keys":[` + ed + `]}`, 1},
		"unknown type beside": {`{"keys":[{"kty":"new"},` + ed + `]}`, 1},
		"symmetric beside":    {`{"keys":[{"kty":"oct","kid":"s","k":"c2VjcmV0"},` + ed + `]}`, 1},
		"only symmetric":      {`{"keys":[{"kty":"oct","kid":"s","k":"c2VjcmV0"}]}`, -1},
		"for encryption":      {`{"keys":[` + strings.Replace(ed, `"kid"`, `"use":"enc","kid"`, 1) + `]}`, -1},
		"RSA of 512 bits":     {`{"keys":[{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("x", 86) + `"}]}`, -1},
		"empty":               {`{"keys":[]}`, -1},
		"not JSON":            {`<html>`, -1},
		"too many":            {`{"keys":[` + strings.Repeat(ed+",", maxKeys) + ed + `]}`, -1},
	} {
		keys, err := parseKeys([]byte(tt.in))
		if got := len(keys); (err != nil) != (tt.want < 0) || (err == nil && got != tt.want) {
			t.Errorf("%s: %d keys, %v", name, got, err)
		}
	}
}

func TestDiscoveryDoesNotFollowOrSwallow(t *testing.T) {
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/redirect"):
			http.Redirect(w, r, srv.URL+"/ok/.well-known/openid-configuration", http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/huge"):
			_, _ = w.Write(make([]byte, maxDocumentBytes+1))
		case strings.HasPrefix(r.URL.Path, "/plain"):
			_, _ = w.Write([]byte(`{"issuer":"` + srv.URL + `/plain","jwks_uri":"http://keys.example/"}`))
		case strings.HasPrefix(r.URL.Path, "/ok"):
			_, _ = w.Write([]byte(`{"issuer":"` + srv.URL + `/redirect","jwks_uri":"` + srv.URL + `/keys"}`))
		}
	}))
	defer srv.Close()
	for path, want := range map[string]string{"/redirect": "302", "/huge": "more than", "/plain": "loopback", "/empty": "discovery"} {
		d, err := newDiscovery(srv.URL+path, http.DefaultTransport)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.fetch(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestCheckURL(t *testing.T) {
	for raw, ok := range map[string]bool{
		"https://idp.example":        true,
		"https://idp.example/realm":  true,
		"http://127.0.0.1:9000":      true,
		"http://localhost:9000":      true,
		"http://[::1]:9000":          true,
		"http://idp.example":         false,
		"http://127.0.0.1.example":   false,
		"ftp://idp.example":          false,
		"https://u:p@idp.example":    false,
		"https://idp.example/#frag":  false,
		"https://":                   false,
		"//idp.example":              false,
		"file:///etc/keys":           false,
		"http://localhost.evil.test": false,
	} {
		if err := checkURL(raw); (err == nil) != ok {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
