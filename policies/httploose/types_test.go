package httploose

import "testing"

func TestLettersGoByEachCharacterSetOfAType(t *testing.T) {
	for in, want := range map[string]Letters{
		"":                                                             ASCII,
		"application/json":                                             ASCII,
		"application/json; charset=":                                   ASCII,
		"application/json; charset=utf-8":                              ASCII,
		`application/json;charset="UTF8"`:                              ASCII,
		"text/plain; charset=us-ascii":                                 ASCII,
		"text/plain; charset=iso-8859-15":                              ASCII,
		"text/plain; charset=ISO8859_1":                                ASCII,
		"text/plain; charset=windows-1252":                             ASCII,
		"text/plain; charset=koi8-r":                                   ASCII,
		"text/plain; charset=utf-16":                                   Wide,
		"text/plain; Charset = 'UTF-16LE'":                             Wide,
		"text/plain; charset=utf32be":                                  Wide,
		"text/plain; charset=utf-7":                                    Unknown,
		"text/plain; charset=ibm500":                                   Unknown,
		"text/plain; charset=windows-31j":                              Mixed,
		"text/html; charset=gb18030":                                   Mixed,
		"image/png; charset=Binary":                                    Mixed,
		"text/plain; charset=utf-16; charset=shift_jis; charset=utf-8": Mixed,
		"text/plain; charset=gbk; charset=utf-7":                       Unknown,
		"text/plain; charset*=gbk":                                     Unknown,
		"text/plain; charset=gbkx":                                     Unknown,
		"text/plain; charset=utf-8x":                                   Unknown,
		"text/plain; charset=utf-8;charset=a":                          Unknown,
		"text/plain; charset=utf-7;charset":                            Unknown,
		"text/plain, x/y;charset=utf-7":                                Unknown,
		"text/plain; charset*=utf-8''utf-7":                            Unknown,
		`text/plain; charset*0=utf;charset*1=`:                         Unknown,
		"text/plain; charset*=utf-8":                                   Unknown,
		"text/plain; charset=utf-16; charset=":                         Wide,
	} {
		if got := LettersOf(in); got != want {
			t.Errorf("%s: %v", in, got)
		}
	}
}

func TestTypesAreToldAsServicesDo(t *testing.T) {
	for in, want := range map[string]bool{
		"application/x-www-form-urlencoded": true, "application/x-www-form-urlencoded+x": true, "application/x-url-encoded": true,
		"x-www-form-urlencoded": true, "text/plain": false, "": false, "multipart/form-data": false,
	} {
		if IsForm(in) != want {
			t.Errorf("a form: %s", in)
		}
	}
	for in, want := range map[string]bool{"application/json": true, "text/json": true, "application/vnd.api+json": true, "application/jsonx": false, "": false} {
		if IsJSON(in) != want {
			t.Errorf("JSON: %s", in)
		}
	}
	for in, c := range map[string]struct{ is, may bool }{
		"multipart/form-data; boundary=b":             {true, false},
		" Multipart/mixed":                            {true, false},
		"text/plain, multipart/form-data; boundary=b": {false, true},
		"text/plain; Boundary =b":                     {false, true},
		"text/plain; boundary*=utf-8''b":              {false, true},
		"form-data":                                   {false, true},
		"application/json":                            {false, false},
		"":                                            {false, false},
	} {
		if IsMultipart(in) != c.is || MayBeMultipart(in, []byte("--b\r\n")) != c.may || MayBeMultipart(in, []byte("a\n--b")) != c.may || MayBeMultipart(in, []byte("a --b")) {
			t.Errorf("multipart: %s", in)
		}
	}
}
