package crowd

import (
	"fmt"
	"strings"
	"time"
)

var dictionary = strings.Fields(`please call me back tomorrow about the offer thanks we talked on friday and the roof needs work before
	winter can you send the estimate again my wife has a question what time works for your crew is the price still good yes no maybe later
	address gate code dog insurance claim adjuster visit photo shingle gutter leak kitchen invoice deposit schedule confirm reschedule`)

// words are some words that people write.
func words(i, n int) string {
	var b strings.Builder
	for k := range n {
		if k > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(dictionary[mix("word", i*31+k)%uint64(len(dictionary))])
	}
	return b.String()
}

const location = "ve9EPM428h8vShlRW1KT"

func ghlContact(e *event) string {
	p := e.p
	return fmt.Sprintf(`{"type":%q,"locationId":%q,"versionId":%q,"appId":"665f3a1e2b7c8d9e0f1a2b3c-lx4m9qzt","id":%q,"address1":"%d Main St","city":%q,"state":"TX",`+
		`"companyName":"%s Ltd","country":"US","source":"web form","dateAdded":%q,"dateOfBirth":"1980-01-05T00:00:00.000Z","dnd":false,`+
		`"dndSettings":{"Call":{"status":"inactive","message":"","code":""},"Email":{"status":"inactive","message":"","code":""},"SMS":{"status":"inactive","message":"","code":""}},`+
		`"email":%q,"name":"%s %s","firstName":%q,"lastName":%q,"phone":%q,"postalCode":%q,"tags":%s,"website":"https://www.example.test/","attachments":[],"assignedTo":%q,`+
		`"customFields":[{"id":"BcdmQEsNgz6AVpgLVUJ0","value":%q},{"id":%q,"value":"%d"},{"id":%q,"value":%q}],"timestamp":%q,"webhookId":%q}`,
		e.wire, location, hexes("version", 1), p.ghl, p.i%9000+1, p.city, p.last, p.created.Format(time.RFC3339Nano), p.email, p.first, p.last, p.first, p.last,
		p.phone, p.zip, text(p.tags()), token("user", p.i%12), words(e.i, 4), token("field", 1), e.i, token("field", 2), words(e.i+1, 6),
		e.at.Format(time.RFC3339Nano), hexes("delivery", e.i))
}

func ghlMessage(e *event) string {
	return fmt.Sprintf(`{"type":"InboundMessage","locationId":%q,"attachments":[],"body":%q,"contactId":%q,"contentType":"text/plain","conversationId":%q,`+
		`"dateAdded":%q,"direction":"inbound","messageType":"SMS","messageId":%q,"status":"delivered","timestamp":%q,"webhookId":%q}`,
		location, words(e.i, 14), e.p.ghl, token("conversation", e.p.i), e.at.Format(time.RFC3339Nano), e.entityID, e.at.Format(time.RFC3339Nano), hexes("delivery", e.i))
}

func ghlAppointment(e *event) string {
	return fmt.Sprintf(`{"type":"AppointmentUpdate","locationId":%q,"appointment":{"id":%q,"address":"https://example.test/meeting","title":%q,"calendarId":%q,`+
		`"contactId":%q,"groupId":%q,"appointmentStatus":"confirmed","assignedUserId":%q,"users":[%q],"notes":%q,"source":"booking_widget","startTime":%q,"endTime":%q,"dateAdded":%q,"dateUpdated":%q},"webhookId":%q}`,
		location, e.entityID, "Visit for "+e.p.first, token("calendar", e.p.i%7), e.p.ghl, token("group", 1), token("user", e.p.i%12), token("user", e.p.i%12), words(e.i, 10),
		e.at.Add(48*time.Hour).Format(time.RFC3339), e.at.Add(49*time.Hour).Format(time.RFC3339), e.at.Format(time.RFC3339), e.at.Format(time.RFC3339), hexes("delivery", e.i))
}

// alowareContact is the contact that every webhook of Aloware carries along.
func alowareContact(p person) string {
	return fmt.Sprintf(`{"id":%s,"company_id":4711,"first_name":%q,"last_name":%q,"name":"%s %s","email":%q,"phone_number":%q,"country":"US","state":"TX","city":%q,"zipcode":%q,`+
		`"address":"%d Main St","timezone":"America/Chicago","lead_source":"web form","date_of_birth":"1980-01-05","website":"https://www.example.test/","notes":null,"csf1":null,"csf2":null,`+
		`"is_dnc":0,"is_blocked":false,"text_authorized":true,"do_not_contact":null,"user_id":%d,"disposition_status":{"id":9,"name":"Interested"},"tags":[{"id":1,"name":%q},{"id":2,"name":%q}],`+
		`"unread_count":0,"unread_texts_count":0,"engagement_count":%d,"last_engagement_text":"Outbound call","created_at":"%s","updated_at":"%s","phone_numbers":[{"id":%s1,"phone_number":%q,"is_primary":1,"title":"mobile"}]}`,
		p.aloware, p.first, p.last, p.first, p.last, p.email, p.phone, p.city, p.zip, p.i%9000+1, 100+p.i%20, p.tags()[0], p.tags()[1], p.i%40,
		p.created.Format(time.DateTime), p.created.Format(time.DateTime), p.aloware, p.phone)
}

func alowareBody(e *event) string {
	at := e.at.Format(time.DateTime)
	if e.entityType == "contact" {
		return fmt.Sprintf(`{"event":%q,"timestamp":"%s","body":%s}`, e.wire, at, alowareContact(e.p))
	}
	return fmt.Sprintf(`{"event":%q,"timestamp":"%s","body":{"id":%s,"company_id":4711,"campaign_id":77,"user_id":%d,"contact_id":%s,"type":1,"direction":2,"lead_number":%q,"incoming_number":"+15005550199",`+
		`"current_status":"completed","current_status2":9,"disposition_status":"completed","disposition_status2":3,"call_disposition":%q,"call_disposition_id":51,"talk_time":%d,"duration":%d,"wait_time":4,`+
		`"has_recording":true,"direct_recording_url":"https://recordings.example.test/%s/%s","notes":%q,"body":null,"attachments":[],"carrier":"example","is_automated":false,"created_at":"%s","updated_at":"%s",`+
		`"campaign":{"id":77,"name":"Inbound line","incoming_number":"+15005550199"},"user":{"id":%d,"name":"Agent %d","email":"agent%d@example.test"},"contact":%s}}`,
		e.wire, at, e.entityID, 100+e.p.i%20, e.p.aloware, e.p.phone, one("disposition", e.i, "Interested", "Not interested", "Call back"), mix("talk", e.i)%600, mix("talk", e.i)%600+7,
		e.entityID, hexes("recording", e.i)[:16], words(e.i, 16), at, at, 100+e.p.i%20, e.p.i%20, e.p.i%20, alowareContact(e.p))
}
