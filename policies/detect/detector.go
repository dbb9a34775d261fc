package detect

// detector is a named group of forms.
type detector struct {
	name  string
	marks []mark
}

// detectors are all there are. That of card numbers has no marks: digits are its own business.
func detectors() []detector {
	return []detector{
		anthropicKey(), authorization(), awsAccessKey(), azureKey(),
		{name: cardNumberName},
		connectionString(), gcpKey(),
		githubToken(), gitlabToken(), googleOAuth(), jwt(), npmToken(), openaiKey(), pem(), sendgridKey(), slackToken(),
		stripeKey(), twilioKey(),
	}
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
	kindURLPassword
	kinds
)

// read calls the kind's reader. It is a switch, not a table of functions, so that the cursor stays on the stack.
func (c *cursor) read(k kind, at, body int) (start, end int) {
	switch k {
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
