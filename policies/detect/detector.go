package detect

import (
	"slices"
	"strings"
)

// detector is a named group of forms.
type detector struct {
	name string
	// maker is whose secrets they are, empty if not one's; what says what is found.
	maker, what string
	marks       []mark
}

// detectors are all there are: those with a reader of their own, and those of the table. That of card numbers has no
// marks: digits are its own business.
func detectors() []detector {
	return append([]detector{
		anthropicKey(), authorization(), awsAccessKey(), azureKey(),
		{name: cardNumberName, what: "payment card numbers, by issuer, length and check digit"},
		connectionString(), gcpKey(),
		githubToken(), gitlabToken(), googleOAuth(), jwt(), npmToken(), openaiKey(), pem(), sendgridKey(), slackToken(),
		stripeKey(), twilioKey(), urlToken(),
	}, tabled()...)
}

// Detector is what a detector finds, for people.
type Detector struct {
	// Name is what masks name it by.
	Name string `json:"name"`
	// What is found, and Maker whose it is; Maker is empty where the form is nobody's own.
	What  string `json:"what"`
	Maker string `json:"maker"`
}

// Detectors lists all detectors, sorted by name.
func Detectors() []Detector {
	var out []Detector
	for _, d := range detectors() {
		out = append(out, Detector{Name: d.name, What: d.what, Maker: d.maker})
	}
	slices.SortFunc(out, func(a, b Detector) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// kind is a form: what a reader reads.
type kind uint8

const (
	kindAnthropic kind = iota
	kindAuthorization
	kindAWSID
	kindAWSSecret
	kindAWSSecretByID
	kindAzureKey
	kindAzureSignature
	kindGCP
	kindGitHub
	kindGitHubFineGrained
	kindGitLab
	kindGoogleAccess
	kindGoogleClient
	kindGoogleRefresh
	kindJWT
	kindNPM
	kindOpenAI
	kindPairPassword
	kindPEM
	kindSendGrid
	kindSlack
	kindSlackHook
	kindStripe
	kindStripeHook
	kindTwilio
	kindQueryPassword
	kindURLPassword
	kindURLToken
	kinds
	// kindForm is a form of the table, with the mark's form; kindWord one that stands behind a maker's name.
	kindForm
	kindWord
)

// read calls the reader of the mark's kind. It is a switch, not a table of functions, so that the cursor stays on the stack.
func (c *cursor) read(m *mark, at, body int) (start, end int) {
	switch m.kind {
	case kindForm:
		return c.form(m.form, at, body)
	case kindWord:
		return c.word(m.form, at, body)
	case kindQueryPassword:
		return c.queryPassword(at, body)
	case kindURLToken:
		return c.urlToken(at, body)
	case kindAnthropic:
		return c.anthropic(at, body)
	case kindAuthorization:
		return c.authorization(body)
	case kindAWSID:
		return c.awsID(at)
	case kindAWSSecret:
		return c.awsSecret(body)
	case kindAWSSecretByID:
		return c.awsSecretByID(at)
	case kindAzureKey:
		return c.azureKey(at, body)
	case kindAzureSignature:
		return c.azureSignature(at, body)
	case kindGCP:
		return c.fixed(at, body, gcpBody, dashed)
	case kindGitHub:
		return c.github(at, body)
	case kindGitHubFineGrained:
		return c.githubFineGrained(at, body)
	case kindGitLab:
		return c.gitlab(at, body)
	case kindGoogleAccess:
		return c.googleAccess(at, body)
	case kindGoogleClient:
		return c.fixed(at, body, googleClientBody, dashed)
	case kindGoogleRefresh:
		return c.open(at, body, googleRefreshLeast)
	case kindJWT:
		return c.jwt(at)
	case kindNPM:
		return c.fixed(at, body, npmBody, alnum)
	case kindOpenAI:
		return c.openai(at, body)
	case kindPairPassword:
		return c.pairPassword(at, body)
	case kindPEM:
		return c.pem(at, body)
	case kindSendGrid:
		return c.sendgrid(at, body)
	case kindSlack:
		return c.slack(at, body)
	case kindSlackHook:
		return c.slackHook(body)
	case kindStripe:
		return c.stripe(at, body)
	case kindStripeHook:
		return c.stripeHook(at, body)
	case kindTwilio:
		return c.twilio(at, body)
	case kindURLPassword:
		return c.urlPassword(at, body)
	default:
		return 0, 0
	}
}
