package crowd

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// mix makes a number of a thing's place that looks like chance (splitmix64).
func mix(kind string, i int) uint64 {
	z := uint64(i) + 1
	for _, b := range []byte(kind) {
		z = z*131 + uint64(b)
	}
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// one chooses among values.
func one[T any](kind string, i int, values ...T) T { return values[mix(kind, i)%uint64(len(values))] }

// identifier is an id as ours are: the time first, so that ids sort by it.
func identifier(kind string, i int, at time.Time) string {
	m, n := mix(kind, i), mix(kind+"+", i)
	ms := uint64(at.UnixMilli())
	return fmt.Sprintf("%08x-%04x-7%03x-8%03x-%012x", ms>>16, ms&0xffff, m&0xfff, m>>12&0xfff, n&0xffffffffffff)
}

// token is an id as GHL's are.
func token(kind string, i int) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var text [20]byte
	for k := range text {
		text[k] = letters[mix(kind, i*20+k)%uint64(len(letters))]
	}
	return string(text[:])
}

func hexes(kind string, i int) string {
	return fmt.Sprintf("%016x%016x", mix(kind, i), mix(kind+"-", i))
}

var (
	firstNames = []string{"Ana", "Ben", "Carla", "Dana", "Emil", "Fatima", "Grace", "Hugo", "Iris", "Jonas", "Kira", "Liam", "Mona", "Noah", "Olga", "Paul", "Quinn", "Rosa", "Sven", "Tara"}
	lastNames  = []string{"Alvarez", "Brooks", "Castillo", "Dawson", "Ellis", "Ferreira", "Grant", "Hughes", "Ivanova", "Jensen", "Kowalski", "Lopez", "Mercer", "Novak", "Osborne", "Petrov", "Quigley", "Ramirez", "Sanders", "Tanaka", "Underwood", "Vasquez", "Whitaker", "Yilmaz", "Zimmer"}
	cities     = []string{"Austin", "Waco", "Dallas", "Houston", "El Paso", "Lubbock", "Plano", "Tyler", "Laredo", "Irving", "Denver", "Tulsa", "Omaha", "Mesa", "Reno"}
	tags       = []string{"lead", "hot", "customer", "newsletter", "Follow Up", "webinar", "Disposition: Interested", "Call: Completed", "Outbound Call", "no-show"}
)

// person is one of the people, all of it made of the place.
type person struct {
	i                             int
	id, ghl, aloware, phone       string
	first, last, email, city, zip string
	created                       time.Time
}

// person makes the i-th, the oldest first.
func (c *Crowd) person(i int) person {
	p := person{i: i, created: c.ago(i, c.People, 2*365*24*time.Hour)}
	p.id, p.ghl, p.aloware = identifier("person", i, p.created), token("contact", i), fmt.Sprint(20_000_000+i)
	p.phone = number(i)
	p.first, p.last, p.city = one("first", i, firstNames...), one("last", i, lastNames...), one("city", i, cities...)
	p.email = strings.ToLower(fmt.Sprintf("%s.%s.%d@example.test", p.first, p.last, i))
	p.zip = fmt.Sprintf("%05d", 70000+mix("zip", i)%9999)
	return p
}

// spread is the i-th of n people who stand far apart; no two of them are one.
func (c *Crowd) spread(i, n int) person { return c.person(i * c.People / n) }

// number is a fictitious phone number of its own for each place.
func number(i int) string {
	area := 201 + i/10_000
	return fmt.Sprintf("+1%03d555%04d", area+(area-201)/10, i%10_000)
}

// hot is the place of the person with the longest history.
const hot = 3

// about says whose the i-th of some things is: one in two hundred is the hot
// one's, and the others' are spread so that some people have many.
func (c *Crowd) about(kind string, i int) person {
	if i%200 == 1 {
		return c.person(hot)
	}
	u := float64(mix(kind, i)>>11) / (1 << 53)
	return c.person(min(c.People-1, int(math.Pow(u, 1.5)*float64(c.People))))
}

// lane is where a person's events wait.
func (p person) lane() string { return "person:" + p.id }

func (p person) tags() []string {
	return []string{one("tag1", p.i, tags...), one("tag2", p.i, tags...)}
}
