// Package queue works through what the inbox took in. River is the engine: it
// wakes workers, spreads jobs over instances, elects a leader for what happens
// on a schedule. What River's open-source edition does not have, order per
// person, comes from lanes (see store): a job is only a doorbell that says
// "this lane has work", and the worker that answers it leases the lane, handles
// its events oldest first in bounded turns, and gives it back.
//
// A failed event keeps its lane shut until its next try, since later events of
// the same person must not overtake it; other lanes go on. After its last try
// the event is quarantined and the lane goes on without it. A worker that dies
// is found out by its lease running out, and the lane's bell is rung again.
package queue
