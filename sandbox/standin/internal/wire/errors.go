// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Error is an ErrorResponse as a Go error.
type Error struct{ pgproto3.ErrorResponse }

func (e *Error) Error() string { return fmt.Sprintf("%s: %s (%s)", e.Severity, e.Message, e.Code) }

// Errorf makes an ERROR with a SQLSTATE.
func Errorf(code, format string, args ...any) *Error { return fail("ERROR", code, format, args...) }

// Fatalf makes a FATAL with a SQLSTATE.
func Fatalf(code, format string, args ...any) *Error { return fail("FATAL", code, format, args...) }

// Unsupported is the answer to everything a distributed engine would do and this one does not.
func Unsupported(what string) *Error {
	e := Errorf("0A000", "AntDB stand-in does not do %s", what)
	e.Hint = "The stand-in is for trying, developing and testing; see its README for what it leaves out."
	return e
}

func fail(severity, code, format string, args ...any) *Error {
	return &Error{pgproto3.ErrorResponse{
		Severity: severity, SeverityUnlocalized: severity, Code: code, Message: fmt.Sprintf(format, args...),
	}}
}

// WithDetail adds a DETAIL line.
func (e *Error) WithDetail(format string, args ...any) *Error {
	e.Detail = fmt.Sprintf(format, args...)
	return e
}

// WithHint adds a HINT line.
func (e *Error) WithHint(hint string) *Error {
	e.Hint = hint
	return e
}

// Msg is the error as a message.
func (e *Error) Msg() Msg { return Encode(&e.ErrorResponse) }

// DecodeError reads an ErrorResponse body.
func DecodeError(body []byte) *Error {
	var e Error
	if err := e.Decode(body); err != nil {
		return Fatalf("08P01", "undecodable error message: %v", err)
	}
	return &e
}
