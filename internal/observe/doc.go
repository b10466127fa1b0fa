// Package observe is how the program is watched: logs in which nothing secret
// appears, Prometheus metrics with a bounded number of labels, and the handlers
// around every HTTP server that feed them. Labels never hold ids, phone
// numbers, addresses or concrete paths.
package observe
