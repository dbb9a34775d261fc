package engine

import (
	"errors"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// notUTF8 refuses a name as the server would; nil if it is UTF-8.
func notUTF8(name []byte) *Refusal {
	var invalid *sqlfacts.Error
	if !errors.As(sqlfacts.CheckUTF8(string(name)), &invalid) {
		return nil
	}
	return &Refusal{Code: invalid.Code, Message: invalid.Message, Rule: "protocol"}
}
