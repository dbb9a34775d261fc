package identity

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-jose/go-jose/v4/json"
)

// MaxTokenBytes is the largest token that is looked at; larger ones are refused before they are parsed.
const MaxTokenBytes = 64 << 10

// unverified is what a token says of itself before anything is proven. It may choose which key to ask, and refuse
// early; it never grants.
type unverified struct {
	algorithm string
	issuer    string
	claims    claims
}

// parse reads a JWT in compact form (RFC 7515 section 7.1) without checking its signature.
func parse(raw string) (*unverified, *Error) {
	if raw == "" {
		return nil, &Error{Kind: Missing}
	}
	if len(raw) > MaxTokenBytes {
		return nil, tooLong(raw)
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, malformed(fmt.Errorf("%d parts instead of 3", len(parts)))
	}
	head, err := decodePart(parts[0])
	if err != nil {
		return nil, malformed(fmt.Errorf("header: %w", err))
	}
	body, err := decodePart(parts[1])
	if err != nil {
		return nil, malformed(fmt.Errorf("claims: %w", err))
	}
	// Strict: a decoder that skips line ends would let one token be written in many ways.
	if _, err := base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil || strings.ContainsAny(parts[2], "\r\n") {
		return nil, malformed(errors.New("signature is not base64url"))
	}
	if err := usable(head); err != nil {
		return nil, malformed(err)
	}
	algorithm, _ := head["alg"].(string)
	if algorithm == "" {
		return nil, malformed(errors.New("no alg in the header"))
	}
	issuer, _ := body["iss"].(string)
	return &unverified{algorithm: algorithm, issuer: issuer, claims: body}, nil
}

func tooLong(raw string) *Error {
	return &Error{Kind: TooLong, cause: fmt.Errorf("%d bytes", len(raw))}
}

func malformed(cause error) *Error { return &Error{Kind: Malformed, cause: cause} }

// decodePart reads one base64url part as a JSON object.
func decodePart(part string) (claims, error) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, errors.New("line end inside")
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, errors.New("not base64url")
	}
	return decodeObject(data)
}

// decodeObject reads a JSON object. go-jose's decoder is used because it tells names apart by case and refuses
// duplicate names: two readers of one token must see the same claims. Its errors quote the input, so they are
// replaced: claim contents stay out of logs.
func decodeObject(data []byte) (claims, error) {
	var out claims
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.SetNumberType(json.UnmarshalJSONNumber)
	if err := dec.Decode(&out); err != nil {
		return nil, errors.New("not a JSON object with distinct names")
	}
	if out == nil {
		return nil, errors.New("null instead of an object")
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("bytes after the object")
	}
	return out, nil
}
