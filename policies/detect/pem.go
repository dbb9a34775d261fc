package detect

import "bytes"

// pem knows private keys in text: RFC 7468, and OpenSSL's and OpenSSH's labels before it (RSA, EC, DSA, ENCRYPTED,
// OPENSSH PRIVATE KEY), RFC 9580 section 6.2 for OpenPGP's (PGP PRIVATE KEY BLOCK). The find reaches from BEGIN to the
// end of END, or to the end of the text.
func pem() detector {
	return detector{name: "pem", what: "private keys in PEM, OpenSSH and OpenPGP armour", marks: []mark{{text: "-----BEGIN ", lane: laneWords, kind: kindPEM}}}
}

// pemLabel is the greatest length of a label.
const pemLabel = 64

func (c *cursor) pem(at, body int) (int, int) {
	end := c.pemPrivate(body)
	if end == 0 {
		return 0, 0
	}
	for {
		next := bytes.Index(c.text[end:], []byte("-----END "))
		if next < 0 {
			return at, len(c.text)
		}
		end += next + len("-----END ")
		if last := c.pemPrivate(end); last > 0 {
			return at, last
		}
	}
}

// pemPrivate gives the end of the label of a private key and its dashes, or 0 if none stands there.
func (c *cursor) pemPrivate(at int) int {
	end := at
	for end < len(c.text) && end-at <= pemLabel && (c.text[end] == ' ' || (capital | digit).is(c.text[end])) {
		end++
	}
	label := bytes.TrimSuffix(c.text[at:end], []byte(" BLOCK"))
	if !bytes.HasSuffix(label, []byte("PRIVATE KEY")) || !bytes.HasPrefix(c.text[end:], []byte("-----")) {
		return 0
	}
	return end + len("-----")
}
