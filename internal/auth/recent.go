package auth

import "container/list"

// recent is a map of bounded size: when it is full, the entry that was not used
// for the longest time leaves. Whoever can make us remember things (key ids,
// kids, addresses) cannot make us remember more than that. It is not safe for
// concurrent use.
type recent[K comparable, V any] struct {
	max   int
	order *list.List // front is the most recent
	items map[K]*list.Element
}

type recentItem[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](max int) *recent[K, V] {
	return &recent[K, V]{max: max, order: list.New(), items: make(map[K]*list.Element)}
}

func (r *recent[K, V]) get(key K) (V, bool) {
	element, ok := r.items[key]
	if !ok {
		var none V
		return none, false
	}
	r.order.MoveToFront(element)
	return element.Value.(*recentItem[K, V]).value, true
}

func (r *recent[K, V]) put(key K, value V) {
	if element, ok := r.items[key]; ok {
		element.Value.(*recentItem[K, V]).value = value
		r.order.MoveToFront(element)
		return
	}
	r.items[key] = r.order.PushFront(&recentItem[K, V]{key, value})
	if r.order.Len() > r.max {
		r.remove(r.order.Back().Value.(*recentItem[K, V]).key)
	}
}

func (r *recent[K, V]) remove(key K) {
	if element, ok := r.items[key]; ok {
		r.order.Remove(element)
		delete(r.items, key)
	}
}

func (r *recent[K, V]) len() int { return r.order.Len() }
