package detect

// azureKey knows the keys and signatures of Azure: AccountKey of storage and Cosmos DB (64 bytes in base64) and
// SharedAccessKey of Service Bus, Event Hubs and IoT Hub (32 bytes) in connection strings ("Configure Azure Storage
// connection strings"; "Event Hubs connection string"), and sig of a shared access signature ("Create a service SAS":
// an HMAC-SHA256 in base64, in URLs percent-encoded).
func azureKey() detector {
	return detector{name: "azure-key", maker: "Microsoft Azure", what: "account keys, shared access keys and signatures", marks: []mark{
		{text: "accountkey=", fold: true, lane: lanePairs, kind: kindAzureKey},
		{text: "sharedaccesskey=", fold: true, lane: lanePairs, kind: kindAzureKey},
		{text: "sig=", then: base64Plain | percent, lane: lanePairs, kind: kindAzureSignature},
	}}
}

// azureKey reads 32 or 64 bytes in base64, with padding.
func (c *cursor) azureKey(at, body int) (int, int) {
	if !c.opens(at) {
		return 0, 0
	}
	end := c.skip(body, base64Plain)
	switch end - body {
	case 43:
		end++
	case 86:
		end += 2
	default:
		return 0, 0
	}
	if end > len(c.text) || c.text[end-1] != '=' || c.text[end-2] != '=' && end-body == 88 ||
		c.byteAt(end) == '=' || !c.closes(end) {
		return 0, 0
	}
	return body, end
}

// azureSignature reads 32 bytes in base64, where any of +, / and = may be percent-encoded.
func (c *cursor) azureSignature(at, body int) (int, int) {
	if !c.opens(at) {
		return 0, 0
	}
	end := body
	for n := 0; n < 44; n++ {
		b, width := c.unescaped(end)
		if n < 43 && !base64Plain.is(b) || n == 43 && b != '=' {
			return 0, 0
		}
		end += width
	}
	if !c.closes(end) {
		return 0, 0
	}
	return body, end
}

// unescaped gives the byte at a place, decoded if it is percent-encoded, and its length in the text.
func (c *cursor) unescaped(at int) (byte, int) {
	b := c.byteAt(at)
	if b != '%' || at+2 >= len(c.text) || !anyHex.is(c.text[at+1]) || !anyHex.is(c.text[at+2]) {
		return b, 1
	}
	return unhex(c.text[at+1])<<4 | unhex(c.text[at+2]), 3
}

func unhex(b byte) byte {
	if digit.is(b) {
		return b - '0'
	}
	return lower(b) - 'a' + 10
}
