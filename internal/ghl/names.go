package ghl

import (
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// meaning is what an event's name tells us.
type meaning struct {
	kind   df.Kind
	entity string
}

// meanings holds the event names that we act on, GHL's own and those of the
// original middleware, in folded form (see foldName).
var meanings = map[string]meaning{
	"contactcreate":    {df.KindContactCreated, "contact"},
	"contactupdate":    {df.KindContactUpdated, "contact"},
	"contactdelete":    {df.KindContactDeleted, "contact"},
	"contacttagupdate": {df.KindContactTags, "contact"},
	"contacttagcreate": {df.KindContactTags, "contact"},
	"contacttagdelete": {df.KindContactTags, "contact"},
	"tagcreate":        {df.KindContactTags, "contact"},
	"tagupdate":        {df.KindContactTags, "contact"},
	"tagdelete":        {df.KindContactTags, "contact"},
	"segmentcreate":    {df.KindContactTags, "contact"},
	"segmentupdate":    {df.KindContactTags, "contact"},
	"segmentdelete":    {df.KindContactTags, "contact"},
	"contactdndupdate": {df.KindContactDND, "contact"},

	"notecreate":   {df.KindNote, "note"},
	"noteupdate":   {df.KindNote, "note"},
	"notedelete":   {df.KindNote, "note"},
	"taskcreate":   {df.KindTask, "task"},
	"taskupdate":   {df.KindTask, "task"},
	"taskcomplete": {df.KindTask, "task"},
	"taskdelete":   {df.KindTask, "task"},

	"inboundmessage":            {df.KindMessage, "message"},
	"outboundmessage":           {df.KindMessage, "message"},
	"provideroutboundmessage":   {df.KindProviderDelivery, "message"},
	"conversationunreadupdate":  {df.KindConversation, "conversation"},
	"conversationunreadwebhook": {df.KindConversation, "conversation"},

	"appointmentcreate":       {df.KindAppointment, "appointment"},
	"appointmentupdate":       {df.KindAppointment, "appointment"},
	"appointmentdelete":       {df.KindAppointment, "appointment"},
	"appointmentbook":         {df.KindAppointment, "appointment"},
	"appointmentcancel":       {df.KindAppointment, "appointment"},
	"appointmentstatusupdate": {df.KindAppointment, "appointment"},

	"opportunitycreate":              {df.KindOpportunity, "opportunity"},
	"opportunityupdate":              {df.KindOpportunity, "opportunity"},
	"opportunitydelete":              {df.KindOpportunity, "opportunity"},
	"opportunitystageupdate":         {df.KindOpportunity, "opportunity"},
	"opportunitystatusupdate":        {df.KindOpportunity, "opportunity"},
	"opportunitymonetaryvalueupdate": {df.KindOpportunity, "opportunity"},
	"opportunityassignedtoupdate":    {df.KindOpportunity, "opportunity"},
	"pipelinestageupdate":            {df.KindOpportunity, "opportunity"},

	"usercreate":     {df.KindUser, "user"},
	"userupdate":     {df.KindUser, "user"},
	"userdelete":     {df.KindUser, "user"},
	"locationcreate": {df.KindLocation, "location"},
	"locationupdate": {df.KindLocation, "location"},
	"install":        {df.KindInstall, "app"},
	"appinstall":     {df.KindInstall, "app"},
	"uninstall":      {df.KindUninstall, "app"},
	"appuninstall":   {df.KindUninstall, "app"},
}

// unused lists, per entity, the events that GHL sends and that nothing of ours wants.
var unused = map[string][]string{
	"invoice":       {"create", "update", "delete", "sent", "paid", "partiallypaid", "void"},
	"order":         {"create", "statusupdate"},
	"price":         {"create", "update", "delete"},
	"product":       {"create", "update", "delete"},
	"association":   {"create", "update", "delete"},
	"relation":      {"create", "update", "delete"},
	"record":        {"create", "update", "delete"},
	"objectschema":  {"create", "update", "delete"},
	"campaign":      {"statusupdate"},
	"lcemail":       {"stats"},
	"externalauth":  {"connected"},
	"plan":          {"update"}, // PLAN_CHANGE
	"saasplan":      {"create", "update", "delete"},
	"supportticket": {"create", "update", "delete"},
	"knowledgebase": {"create", "update", "delete"},
}

// lookUp finds the meaning of a name in any spelling: ContactCreate,
// contact.created, contact_created, CONTACT CREATED. Whole names are compared,
// never parts of them: "OpportunityStageUpdate" contains "tag".
func lookUp(name string) (meaning, bool) {
	folded := foldName(name)
	if m, ok := meanings[folded]; ok {
		return m, true
	}
	for entity, verbs := range unused {
		if verb, found := strings.CutPrefix(folded, entity); found && slices.Contains(verbs, verb) {
			return meaning{df.KindOther, entity}, true
		}
	}
	return meaning{}, false
}

// pastTense maps the endings of dotted and snake-case names to those of GHL's own.
var pastTense = []struct{ ending, verb string }{
	{"created", "create"}, {"updated", "update"}, {"changed", "update"}, {"change", "update"},
	{"deleted", "delete"}, {"removed", "delete"}, {"remove", "delete"}, {"added", "create"}, {"add", "create"},
	{"completed", "complete"}, {"booked", "book"}, {"cancelled", "cancel"}, {"canceled", "cancel"},
}

const longestName = 100

// foldName reduces a name to its lower-case letters, and its verb to the form
// that GHL's own names have.
func foldName(name string) string {
	if len(name) > longestName {
		return ""
	}
	folded := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + ('a' - 'A')
		case r >= 'a' && r <= 'z':
			return r
		}
		return -1
	}, name)
	for _, past := range pastTense {
		if stem, found := strings.CutSuffix(folded, past.ending); found {
			return stem + past.verb
		}
	}
	return folded
}
