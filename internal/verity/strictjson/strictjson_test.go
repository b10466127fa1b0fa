package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestCheckRefusesWhatTwoParsersReadDifferently(t *testing.T) {
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf(`"k%d":0`, i)
	}
	big := strings.Join(many, ",")
	tests := []struct {
		name, in string
		want     error
	}{
		{"an object", `{"a":1,"b":{"a":2},"c":[{"a":1},{"a":1}]}`, nil},
		{"white space everywhere", " {\n\"a\" : [ 1 , 2 ] , \"b\" : \"}\" }\r\n", nil},
		{"brackets inside strings", `{"a":"]}\"{[","b":["\\"]}`, nil},
		{"a hundred names", `{` + big + `}`, nil},
		{"a name twice", `{"a":1,"a":2}`, &DuplicateError{}},
		{"a name twice, once escaped", `{"to":1,"t\u006f":2}`, &DuplicateError{}},
		{"a name twice inside", `{"x":[{"a":1,"b":2,"a":3}]}`, &DuplicateError{}},
		{"a name twice after a child", `{"a":{"b":1},"c":0,"a":1}`, &DuplicateError{}},
		{"a name twice among many", `{` + big + `,"k99":1}`, &DuplicateError{}},
		{"trailing data", `{} {}`, ErrSyntax},
		{"trailing comma", `{"a":1,}`, ErrSyntax},
		{"a comment", `{/**/}`, ErrSyntax},
		{"nothing", ``, ErrSyntax},
		{"cut short", `{"a":`, ErrSyntax},
		{"NaN", `{"a":NaN}`, ErrSyntax},
		{"a raw control character", "{\"a\":\"\x01\"}", ErrSyntax},
		{"not UTF-8", "{\"a\":\"\xc0\xae\"}", ErrUTF8},
		{"a byte order mark", "\ufeff{}", ErrSyntax},
		{"four deep", `[[[[]]]]`, nil},
		{"five deep", `[[[[[]]]]]`, ErrDepth},
		{"a million deep", strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6), ErrSyntax},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Check([]byte(test.in), 4)
			var dup, wantDup *DuplicateError
			if errors.As(test.want, &wantDup) {
				if !errors.As(err, &dup) {
					t.Fatalf("got %v, want a duplicate", err)
				}
				return
			}
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestMembersHandsOutValuesAsTheyStand(t *testing.T) {
	in := []byte(`{ "a" : 12345678901234567890.10 , "b":{"c":[1, 2]},"\u0063":"x\ny","d":null}`)
	var got []string
	err := Members(in, func(name string, value []byte) error {
		got = append(got, name+"="+string(value))
		return nil
	})
	want := `a=12345678901234567890.10|b={"c":[1, 2]}|c="x\ny"|d=null`
	if err != nil || strings.Join(got, "|") != want {
		t.Fatalf("got %v, %v", got, err)
	}
	stop := errors.New("stop")
	if err := Members(in, func(string, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	if err := Members([]byte(`[1]`), func(string, []byte) error { return stop }); err != nil {
		t.Fatal("an array has no members")
	}
}

func TestElementsAndStrings(t *testing.T) {
	var got []string
	if err := Elements([]byte(` [ 1, "a", [2,3], {} ] `), func(i int, v []byte) error {
		got = append(got, fmt.Sprint(i, ":", string(v), ":", KindOf(v)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := `0:1:a number|1:"a":a string|2:[2,3]:an array|3:{}:an object`
	if strings.Join(got, "|") != want {
		t.Fatalf("got %v", got)
	}
	if text, ok := String([]byte(` "a\u0041" `)); !ok || text != "aA" {
		t.Fatalf("got %q", text)
	}
	if _, ok := String([]byte(`5`)); ok {
		t.Fatal("5 is no string")
	}
}

func TestAppendStringAgreesWithEncodingJSON(t *testing.T) {
	for _, text := range []string{"", "plain", `a"b\c`, "line\nend", "ü", "<b>&", "\x00", "\xff", "\u2028"} {
		want, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := AppendString(nil, text); !bytes.Equal(got, want) {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// FuzzCheck holds the walker against encoding/json: what passes is valid JSON
// whose members, put together again, are the same document.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"b":"c\""}]}`, `[]`, `"x"`, ` -1e5 `, `{"a":1,"a":2}`, `{"a":{"a":{}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if Check(data, 32) != nil {
			return
		}
		var decoded any
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if err := decoder.Decode(&decoded); err != nil {
			t.Fatalf("passed, but: %v", err)
		}
		object, ok := decoded.(map[string]any)
		if !ok {
			return
		}
		members := 0
		if err := Members(data, func(name string, value []byte) error {
			members++
			if _, ok := object[name]; !ok {
				t.Fatalf("%q is not a member", name)
			}
			if !json.Valid(value) {
				t.Fatalf("%q is not a value", value)
			}
			return nil
		}); err != nil || members != len(object) {
			t.Fatalf("walked %d members of %d, %v", members, len(object), err)
		}
	})
}

func BenchmarkCheckOneKiB(b *testing.B) {
	data := []byte(`{"endpoint":"/api/x","method":"POST","body":{"text":"` + strings.Repeat("x", 900) + `","n":1}}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := Check(data, 64); err != nil {
			b.Fatal(err)
		}
	}
}
