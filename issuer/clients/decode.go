package clients

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// decode reads exactly one JSON value into a struct. encoding/json alone takes GRANT_TYPES for grant_types, and the last
// of two members; here both are errors, and so is a member that is not known. Numbers keep all their digits.
func decode(text []byte, into any) error {
	if !utf8.Valid(text) {
		return errors.New("it is not valid JSON")
	}
	if err := onceEach(json.NewDecoder(bytes.NewReader(text)), true); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the JSON value")
	}
	return nil
}

// onceEach walks one value: no object has two members of the same name, and those of the outermost are written as ours are.
func onceEach(d *json.Decoder, outermost bool) error {
	token, err := d.Token()
	if err != nil {
		return errors.New("it is not valid JSON")
	}
	open, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	seen := map[string]bool{}
	for d.More() {
		exact := false
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return errors.New("it is not valid JSON")
			}
			text, _ := name.(string) // between braces it is always one
			if seen[text] {
				return fmt.Errorf("%q is given twice", text)
			}
			seen[text] = true
			exact = outermost && text == "exchange" // all others are maps, whose names are what they are
			if outermost && strings.ContainsFunc(text, func(c rune) bool { return (c < 'a' || c > 'z') && c != '_' }) {
				return fmt.Errorf("unknown field %q", text)
			}
		}
		if err := onceEach(d, exact); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil { // the closing one
		return errors.New("it is not valid JSON")
	}
	return nil
}
