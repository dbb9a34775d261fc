package check

import (
	"mime"

	"github.com/sluicegate/sluice/policies/httploose"
)

// bodyType is what a body may be to services by what is said of it.
type bodyType struct {
	contentType, kind string // whole, and without parameters
	untyped           bool   // nothing that can be read says what it is: some services take it for a form
	form, multipart   bool
	json              bool
	letters           httploose.Letters
}

func (r *request) bodyType() bodyType {
	contentType := r.header("content-type")
	kind, _, err := mime.ParseMediaType(contentType)
	return bodyType{
		contentType: contentType, kind: kind, untyped: err != nil,
		form:      err != nil || httploose.IsForm(kind),
		multipart: httploose.IsMultipart(contentType) || httploose.MayBeMultipart(contentType, r.body),
		json:      httploose.IsJSON(kind),
		letters:   httploose.LettersOf(contentType),
	}
}

// anyLetters reports whether its letters may be other than those that it shows.
func (b *bodyType) anyLetters() bool {
	return b.letters == httploose.Unknown || b.letters == httploose.Mixed && (b.multipart || b.form || b.json)
}

// opaque reports whether services may read something in it that is compressed in a way that is not read here.
func (b *bodyType) opaque() bool { return b.untyped || !neverForm.MatchString(b.kind) }
