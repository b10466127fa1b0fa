package consent

import (
	"regexp"
	"strings"
	"sync"
)

// keywords decide at once when they are the whole text. The English words to
// stop are those of the FCC (47 CFR 64.1200(a)(10)), of the CTIA and of the
// carriers together: Telnyx and Aloware do not act on REVOKE or OPTOUT, and
// Twilio's defaults have no REMOVE, so somebody has to.
var keywords = map[string]Kind{
	"stop": Stop, "stopall": Stop, "stop all": Stop, "unsubscribe": Stop, "unsubscribe all": Stop, "cancel": Stop, "end": Stop, "quit": Stop,
	"revoke": Stop, "optout": Stop, "opt out": Stop, "remove": Stop, "unsub": Stop, "dnc": Stop,
	"stop2end": Stop, "stop 2 end": Stop, "stop to end": Stop, "reply stop": Stop, "text stop": Stop, "stop to stop": Stop, "stop to opt out": Stop,
	"stop to quit": Stop, "stop to unsubscribe": Stop, "stop to cancel": Stop, "stop2stop": Stop, "stop2quit": Stop,
	"alto": Stop, "parar": Stop, "pare": Stop, "paren": Stop, "basta": Stop, "ya basta": Stop, "baja": Stop,
	"dar de baja": Stop, "salir": Stop, "suspender": Stop, "remover": Stop, "cancelar": Stop, "detener": Stop, "desuscribir": Stop, "no mas": Stop, "eliminar": Stop,
	"arret": Stop, "arreter": Stop, "arretez": Stop, "desabonner": Stop, "desabonnement": Stop,

	"start": Start, "unstop": Start, "optin": Start, "opt in": Start,
	"comenzar": Start, "iniciar": Start, "reanudar": Start, "reprendre": Start,

	"help": Help, "info": Help, "ayuda": Help, "aide": Help,
}

// unmistakable are the keywords that still mean it with a courtesy around them
// or as one sentence among others. CANCEL, END, QUIT and the like are not: "end
// of the month" and "please cancel" answer ordinary questions.
var unmistakable = map[string]bool{
	"stop": true, "stopall": true, "stop all": true, "unsubscribe": true, "unsub": true, "optout": true, "opt out": true,
	"revoke": true, "remove": true, "stop it": true, "stop this": true, "stop stop": true, "remove me": true,
	"stop these": true, "stop those": true, "stop sending": true, "stop them": true, "un subscribe": true, "opt out me": true,
	"alto": true, "parar": true, "basta": true, "ya basta": true, "no mas": true, "arret": true, "arretez": true,
}

// courtesy are the words around a keyword that do not change what it means.
var courtesy = set("please pls plz plse thanks thank you thx ty kindly now immediately asap already just ok okay hey hi hello " +
	"sir maam and so i said por favor gracias ya oye hola si s il vous plait sil merci lol yes no yeah nope bye ~")

// misspelt are whole texts that are a keyword with a slip of the thumb.
var misspelt = set("stopp st0p 5top dtop syop stpp stopit stoptexting unsubscribeme removeme optmeout unsubscrbe unsubscride sotp stpo tsop sstop stoppp stip stap unsuscribe unsubcribe unsubscibe unsubsribe unsubscrib " +
	"unsubscribed usubscribe unsuscribed unsubscirbe opout")

func set(list string) map[string]bool {
	members := map[string]bool{}
	for member := range strings.FieldsSeq(list) {
		members[member] = true
	}
	return members
}

// step is one line of the classifier's reading. Steps are tried from the top:
// an innocent one takes its words out of the text, so that nothing below sees
// them; any other decides that the text asks to stop.
type step struct {
	rule     string
	innocent bool
	pattern  *regexp.Regexp
}

// steps compiles the phrase book when it is first needed.
var steps = sync.OnceValue(func() []step {
	short := strings.NewReplacer(abbreviations...)
	list := make([]step, len(phraseBook))
	for i, p := range phraseBook {
		rule, innocent := strings.CutPrefix(p.rule, "not ")
		pattern := p.words
		for strings.Contains(pattern, "{") {
			pattern = short.Replace(pattern)
		}
		list[i] = step{rule: rule, innocent: innocent, pattern: regexp.MustCompile(`(?:^| )(?:` + pattern + `)(?: |$)`)}
	}
	return list
})

// abbreviations are the word lists that phrases share. Counted repetition is
// written with question marks and stars, since braces name the lists.
var abbreviations = []string{
	"{contacting}", `(?:{texting}|calling|emailing|contacting|bothering|harassing|spamming|pestering|annoying|soliciting|reaching out|hitting me up|blowing up)`,
	"{texting}", `(?:texting|texing|textng|textin|txting|txtin|messaging|msging|sms ?ing|writing)`,
	"{contact}", `(?:text|txt|message|msg|sms|call|contact|email|e mail|bother|harass|spam|pester|solicit|write|reach out to|reach out|reply to|ring|phone)`,
	"{texts}", `(?:texts?|txts?|text messages?|messages?|msgs?|sms|calls?|phone calls?|emails?|communications?|notifications?|alerts?|spam|solicitations?|promos?|promotions?|reminders|updates|blasts|campaigns?|newsletters?|mailings)`,
	"{these}", `(?:all|any|the|these|those|this|your|ur|ya|of|more|further|future|so many|marketing|automated|sending|with|w|stupid|damn|dang|fucking|freaking|annoying|constant|unwanted|random|sales|promotional|spam|text|other|and)`,
	"{me}", `(?:me|us|my (?:number|phone|cell|cell phone|phone number|cell number|wife|husband|mom|dad|mother|father|family|house|line)|this (?:number|phone|cell|line|phone number|cell number)|here)`,
	"{not}", `(?:do not|dont|do nt|dnt|never|pls dont|quit trying to)`,
	"{again}", `(?:again|anymore|any more|ever|any longer|no more|at all|period)`,
	"{when}", `(?:before|after|until|till|til|unless|while|when|whenever|during|between|today|tonight|tomorrow|yet|so early|so late|early|late|right now|this (?:morning|afternoon|evening|week|weekend|month)|at (?:work|the office|my office|night|dinner|lunch|\d+)|from \d+|on (?:my work|weekends|weekdays|sundays?|saturdays?|mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|the weekend|that|this topic)|in the (?:morning|mornings|evening|afternoon|middle)|mr|mrs|sir|crazy|lazy|names|maam|that|if i|with the results)`,
	"{you}", `(?:you|u|ya|yall|you guys|you people|you all|them|these people|everyone)`,
	"{list}", `(?:lists?|texts?|text messages?|messages?|sms|msgs?|database|system|contacts?|contact list|campaigns?|distribution|marketing|group|records|rolodex|crm|subscriptions?|notifications?|alerts?|mailings?|thread|chain|blast|calls|service|program|rotation)`,
	"{end}", `(?: [|~]|$)`,
}

// phraseBook is read from the top. A rule that begins with "not" names words
// that are innocent. " | " is the end of a sentence, "~" what was taken out.
var phraseBook = []struct{ rule, words string }{
	// What looks like a negation or a report, and is a complaint.
	{"not by_accident", `(?:by (?:accident|mistake)|accidentally|mistakenly|didnt mean to) (?:\w+ )?(?:stop|unsubscribed?|opt out|opted out|texted stop|sent stop|replied stop|said stop)`},
	{"not by_accident", `(?:unsubscribed|opted out|(?:texted|sent|replied|said|hit|typed) (?:stop|unsubscribe)) (?:\w+ )?(?:by (?:accident|mistake)|accidentally|mistakenly)`},
	{"complaint", `(?:you|yall|you guys|they) (?:just )?(?:never|wont|dont|do not|cant) (?:ever )?(?:stop|quit) {contacting}`},
	{"complaint", `(?:why|when) (?:wont|dont|cant|will|are) (?:you|u|yall|you guys) (?:not )?(?:ever |just |going to |gonna )*(?:stop|quit) (?:{contacting}|sending)`},

	// Negations: the person wants more, not less.
	{"not negation", `(?:dont|do not|never|please dont|didnt|did not|no need to|not going to|not asking {you} to|havent|dont you dare|hope you dont|hope {you} never|wouldnt want {you} to) (?:ever |please |just |even |really |want {you} to |want to |wanna |want |have to |need to |need {you} to |mean to |mean |say |said |ask {you} to |ask to |tell {you} to |told {you} to |asked {you} to |wish to |get to |let them )*(?:stop|quit|cease|unsubscribed?|opt(?:ed)? (?:me )?out|remove|take (?:me|us|my \w+) off|delete (?:me|my)|cancel|revoke|end|lose my number)(?: {contacting}| sending| (?:me|us|my \w+)(?: number)?)?`},
	{"not negation", `(?:was|were|got|getting|been|am|is|are|be) (?:not |accidentally |just |being )*(?:unsubscribed|opted out|taken off|removed) (?:by|without|for some|and (?:i )?(?:want|would)|but (?:i )?(?:want|would)|when|somehow|in error)`},

	// What was asked for before, and how to do it.
	{"asked_before", `(?:i|ive|already|have|we|weve) (?:\w+ )?(?:\w+ )?(?:texted|replied|sent|typed|wrote|responded|answered|said|put) (?:with )?(?:you )?(?:to )?(?:stop|unsubscribe)(?: (?:already|before|twice|times|again|many|several|multiple|last|yesterday|and|but|\d+).*|{end})`},
	{"asked_before", `(?:told|asked|asking|telling|begged|begging|said to|need|want|like|would like|demand) (?:{you} )?(?:several times |many times |twice |nicely )?(?:to )?(?:please |already |just )*(?:stop|quit)(?: (?:{contacting}|sending .*|it|this|these|already|now|immediately|please|{texts}|all)|{end})`},
	{"asked_before", `(?:told|asked|asking|telling|begged|warned|need|want|would like|prefer|like) {you} (?:please |already |to )*(?:not to|do not|dont|never|not) (?:ever )?{contact}(?: {me}|{end})`},
	{"not missing_you", `(?:you|u|they|he|she|nobody|no one|people|i|we) (?:guys |just |also |really |still )?(?:never|dont|do not|didnt|did not|havent|hardly|doesnt|wont|cant|should not|rarely|usually dont|would never) (?:ever |even |usually |normally |really )?{contact}(?:ed)? (?:me|us|you|back|my \w+)(?: back)?`},
	{"do_not_contact", `(?:{not}|not to|stop trying to) (?:ever |please |you |u |even |under any circumstances )*{contact} (?:{me} )?(?:\w+ )?{again}`},
	{"make_it_stop", `(?:make|please make|how do i make|how can i make) (?:it|this|these|them|that|the (?:texts|messages|calls)|these (?:texts|messages|calls)) stop`},
	{"how_to_stop", `(?:how (?:do|can|would|should|to)|is there (?:a|any) way|where do i|what do i do|tell me how|need to know how|want|wanna|would like|id like|need|trying|try|like) (?:\w+ )?(?:i |we |to )*(?:stop|turn off|block|end|cancel|unsubscribe from|get off|opt out of|get out of) (?:receiving |getting )?(?:{these} )*{texts}`},
	{"stop_receiving", `(?:stop|quit) (?:receiving|getting) (?:{these} )*{texts}`},

	{"not question", `(?:why|did|didnt|have|has|how come|who|when did|does) (?:did |have |has |do |was |were )?(?:you|u|yall|they|i|we|he|she|it|your \w+|the \w+|my \w+)(?: just| ever| already| all)? (?:stop|stopped|quit|unsubscribed?|removed?|take|took|taken|get|got|cancel|opt|opted)(?: {contacting}| sending| out| me off| unsubscribed| removed)?(?: me| us)?`},
	{"not own_doing", `(?:i|we|ill|well|ive|he|she|they|hell|shell|theyll|kids?|son|daughter|husband|wife|mom|dad|boss) (?:will |would |can |could |should |must |may |might |have to |has to |need to |needs to |had to |tried to |try to |want to |wanted to |did |just |never |finally |already |am going to |cant |cannot |couldnt |wont |promise to |to |really |gonna |gotta )*(?:stop|stopped|quit|stops) (?:{contacting}|sending)`},
	{"not safety", `(?:stop|quit|no|dont|not) (?:texting|text|calling|messaging) (?:and|while|n|or) (?:driv\w+|walk\w+|work\w+)`},

	// Footers of our own that somebody quotes or asks about.
	{"not footer", `(?:reply|text|txt|send|type|respond|answer|says|said|word|button|command|replying|texting|sending)(?: with| back)?(?: the word)? (?:stop|end|quit|cancel|unsubscribe|stopall)(?: (?:to|2) (?:\w+)(?: out)?)?`},

	// The letters of STOP in ordinary business.
	{"not place", `(?:(?:please )?stop(?:ping)?) (?:by|in|at|over|off|and (?:see|say|think|smell|get|look|listen|chat|visit|eat|grab|talk|pick)|to (?:see|visit|pick|get|say|chat|talk|eat|think|drop|grab|help|look|consider|smell)|loss(?:es)?|payments?|sign|light|watch|orders?|limit|gap|motion|being|worrying|the (?:presses|clock|bleeding|car|transfer|payment|wire|check|trade|order|sale|process|distribution|deposit|auto\w*|recurring|leak))`},
	{"not place", `(?:bus|pit|full|non|one|truck|rest|next|last|first|second|third|subway|train|metro|door|back|hard|a|quick|every|each|our|your|my|final|whistle|trailing|dead|complete|come to a|the) stops?`},
	{"not limits", `(?:{not}|please do not|no|cant|shouldnt) (?:ever |please )*{contact}s? (?:{me} )?(?:\w+ )?{when}`},
	{"not wrong_of_mine", `(?:i|we|ive|mustve|my \w+|he|she|they) (?:must |may |might |have |ve |think i |just |accidentally |probably |had |also |already |mistakenly |must have |did )*(?:gave|given|give|sent|put|entered|dialed|dialled|called|texted|typed|wrote|used|listed|copied|had|has|got|provided|filled in) (?:\w+ )?(?:\w+ )?(?:\w+ )?wrong (?:number|person)`},
	{"not wrong_of_mine", `(?:not|isnt|wasnt|is this|is that|was that|was it|is it) (?:\w+ )?(?:the |a |my )?wrong (?:number|person)`},
	{"not wrong_of_mine", `wrong (?:number|numbers) (?:of|for (?:my|the|his|her|your)|on (?:the|my|file|that|it)|in (?:the|my))`},
	{"not other_plan", `opt(?:ed|ing)? out of (?:\w+ )?(?:\w+ )?(?:\w+ )?(?:plan|drip|dividends?|reinvestment|program|401k|insurance|coverage|benefits?|fund|offering|paperless|class|settlement|auto\w*|renewal|escrow|arbitration|election|distributions?|k1|meeting|warranty|trip|investment)`},

	// The plain requests.
	{"stop_contact", `(?:stop|quit|cease|halt|discontinue|knock off|enough with)(?: {these})*(?: {contacting}| {texts}| contact| {contact} {me})`},
	{"stop_contact", `if (?:you|u|yall|you guys|you all) (?:could |would |can |will |all |just )*(?:stop|stopped|quit) (?:{contacting}|sending)`},
	{"but_stop", `(?:but|so|and|then) (?:please |pls |plz |just |kindly )*(?:stop|unsubscribe)(?: please| now| thanks)?{end}`},
	{"stop_sending", `(?:stop|quit|cease|discontinue) sending (?:to )?(?:(?:me|us) )?(?:(?:{these} )*(?:{texts}|stuff|crap|shit|junk|things?|anything)|these|this|those|all this|any more|so many)(?: |{end})?`},
	{"stop_sending", `(?:stop|quit) sending (?:me|us|to me|to this number)(?: please| now)?{end}`},
	{"stop_opening", `(?:(?:please|pls|plz|just|omg|no|yo) )?stop (?:i|im|id|ive|who|whos|you|youre|your (?:texts?|messages)|u|ur|we|were|it|already|now|messing|bugging|with this|everything)(?: .*)?`},
	{"please_stop", `(?:please|pls|plz|plse|kindly|just|you must|needs to|have to|has to) (?:just |all |kindly )?(?:stop|cease|unsubscribe|opt out|unenroll)(?: (?:please|now|this|it|already|thanks|thank|immediately|asap|right|these|me|us)|{end})`},
	{"please_stop", `(?:this|it|these|they|the (?:texts|messages|calls)|(?:texts|messages|calls)) (?:really )?(?:needs?|has|have|must|gotta|better) (?:to )?stop`},
	{"unsubscribe", `(?:unsubscribe|unsuscribe|unsubcribe|unenroll|unregister) (?:me|us|my|this|from|now|please|pls|immediately|asap|thanks)`},
	{"unsubscribe", `(?:please|pls|plz|to|do i|can i|i|wanna|would like to|want to be|be|like to be|need to be|button to|link to|me an|it says) (?:be )?(?:unsubscribed?|unenrolled)`},
	{"unsubscribe", `(?:i|ive|weve|we) (?:have |already |just )*(?:unsubscribed|opted out|been unsubscribed)`},
	{"opt_out", `(?:opt|opting|opted)(?: (?:me|us|my number|this number))? out(?: (?:of|from) (?:{these} )*(?:{texts}|this|these|it|everything|list))?(?: please| pls| thanks| now| immediately| asap)*{end}`},
	{"opt_out", `(?:opt|take|count|leave) (?:me|us) out (?:of|from) (?:{these} )*{list}`},
	{"opt_out", `(?:want|like|wish|choose|need|please|going|how do i|how can i|can i|may i) (?:to )?(?:be )?opt(?:ed)?(?: me)? out(?: of (?:{these} )*(?:{texts}|this|these|it|everything|list))?{end}`},
	{"opt_out", `opt(?:ing)?(?: me| us)? out of (?:{these} )*{texts}`},
	{"remove_me", `(?:remove|take|delete|get|drop|erase|pull|scrub|strike|scratch|removed|taken|deleted|keep|leave) (?:(?:me|us|my (?:\w+ )?(?:\w+ )?|this (?:\w+ )?|our (?:\w+ )?|the )(?:name|number|phone|cell|info|information|contact|contacts?|data)?) ?(?:and (?:\w+ )*)?(?:off|from|out of|outta) (?:of )?(?:{these} |calling |contact |mailing |phone |texting |email |call |sales |lead |distribution )*{list}`},
	{"remove_me", `(?:removed|taken|deleted|unsubscribed) (?:off|from|out of) (?:of )?(?:{these} |calling |contact |mailing |phone |texting |email |call |sales )*{list}`},
	{"remove_me", `(?:please |pls |plz |just |kindly )?(?:remove|delete|unlist) (?:me|us)(?: please| pls| plz| now| immediately| asap| today| thanks| thank you| at once| right now)*{end}`},
	{"remove_me", `(?:take|get) me off(?: (?:of )?(?:this|that|your|it|these))?(?: please| pls| now| asap| immediately)*{end}`},
	{"remove_me", `(?:remove|delete|lose|erase|forget|block|throw away) (?:my|this|our) (?:phone |cell |contact |mobile )?(?:number|info|information|contact|data|phone|digits)(?: please| pls| now| immediately| from your .*| from the system.*| and .*)?{end}`},
	{"do_not_contact", `(?:{not}|please do not|not to|no more|refrain from|no longer) (?:ever |please |u |continue to |under any circumstances |be )*(?:{contact}|{contacting})(?: (?:or|and|nor) {contact})* (?:to )?{me}`},
	{"do_not_contact", `(?:{not}|please do not) (?:ever |please |keep )*(?:send|sending) (?:me|us|to me|to this number|to my (?:phone|number|cell))(?: (?:{these} )*(?:{texts}|anything|stuff|crap|things?|these|this|{again})(?: .*)?|{end})`},
	{"do_not_contact", `(?:{not}|please do not|please dont) (?:ever |please )*(?:text|txt|message|msg|contact)(?: please| pls| thanks| thank you)?{end}`},
	{"no_more", `(?:no|no more|enough|enough with the|done with|sick of|tired of|fed up with)(?: of)?(?: {these})* (?:texts|txts|text messages|messages|msgs|sms|texting|text)(?: please| pls| from you.*| thanks| thank you| to (?:me|this number).*| ever| at all| anymore)*{end}`},
	{"no_more", `no more (?:{these} )*{texts}(?: please| pls| from you.*| thanks| thank you| to (?:me|this number).*)*{end}`},
	{"not_wanted", `(?:dont|do not|didnt|never|no longer|not|didnt ever) (?:\w+ )?(?:want|wanted|wish|wished|like|care|need|interested|asked?|consent|agreed?|authorized?|gave permission)(?: (?:to|for|in))*(?: (?:you|u|yall|you guys|anyone) to)?(?: (?:be|get|getting|receive|receiving|have|see|hear|keep))*(?: {these})* (?:{texts}|contacted|texted|called|messaged|bothered|from (?:you|u|yall|your company|this number)|{contact} (?:me|us))`},
	{"please_end", `(?:please|pls|plz) (?:stop|remove|unsubscribe|unsub|opt out|quit){end}`},
	{"please_end", `(?:spam|scam|interested|number) (?:stop|unsubscribe){end}`},
	{"or_else", `(?:^|\| )stop (?:now )?or (?:else|i|i will|ill|im|we|my)(?: .*)?`},
	{"how_to_stop", `how (?:do|can|would) (?:i|we) (?:stop|end|cancel|get rid of|turn off) (?:these|those|getting these|(?:{these} )+{texts}){end}`},
	{"off_list", `(?:take|get) (?:my|this|our) (?:name|number|info|phone) off{end}|remove from (?:the |your |this |ur )?{list}`},
	{"never_asked", `(?:did not|didnt|never|havent) (?:ever )?(?:sign|signed|opt|opted) (?:me )?(?:up|in)? ?(?:for|to) (?:this|these|any of this|(?:{these} )*{texts}){end}`},
	{"do_not_contact", `(?:^|\| )(?:please |pls )?{not} (?:call|ring|phone)(?: please| pls| thanks| thank you)?{end}`},
	{"not_wanted", `(?:prefer|rather|like|ask) (?:you )?not (?:to )?(?:receive|get|be contacted|be texted|be called|hear from you|{contact} {me})(?: .*)?`},
	{"not_wanted", `no longer (?:\w+ )?(?:\w+ )?(?:receive|get|be contacted|hear|be texted|be called)(?: .*)?`},
	{"revoke", `(?:revoke|revoking|withdraw|withdrawing|rescind|rescinding|retract)(?: (?:my|all|any|our|prior|previous|express))* (?:consent|permission|authorization)`},
	{"revoke", `(?:dont|do not|did not|didnt|never) (?:give|gave|grant|granted) (?:you )?(?:my |any )?(?:consent|permission|authorization)`},
	{"revoke", `(?:you )?(?:dont|do not|no longer) have (?:my )?(?:consent|permission|authorization)`},
	{"cease", `cease (?:and desist|all|any|contact|communications?|further|this)|(?:end|terminate) (?:all|any|further) (?:contact|communications?)(?: with me)?`},
	{"do_not_call_list", `(?:do not|dont|no) (?:call|contact|text|disturb) (?:list|registry)|dnc list|do not disturb list`},
	{"remove_me", `(?:remove|take|get|leave|keep) (?:me|us|this number|my number|my name) (?:off|out of) (?:of )?(?:whatever|whichever|everything|this|that|it)(?: .*)?`},
	{"remove_me", `(?:take|get) (?:this|my) number off{end}`},
	{"leave_alone", `leave (?:me|us|my family|my \w+) (?:the )?(?:\w+ )?alone`},
	{"leave_alone", `(?:go away|get lost|fuck off|f off|piss off|buzz off|screw off|bug off|get a life|fuck you|f you)(?: please| now| already| spammer| scammer)*{end}`},
	{"leave_alone", `(?:im|i am|i will be|ill be|going to|gonna|will|ill|i have|ive|i) (?:be )?(?:block|blocking|blocked|report|reporting|reported) (?:you|u|ur number|this number|your number|this|these)(?: .*)?`},
	{"leave_alone", `(?:blocking|blocked|reporting|reported) (?:you|u|this number|your number|this as spam)(?: .*)?`},
	{"wrong_number", `wrong (?:number|num|person|phone|phone number|guy|lady|contact|cell|party|recipient)`},
	{"wrong_number", `(?:this|the|that) (?:number|phone|cell)(?: number)? (?:no longer belongs|does not belong|doesnt belong|isnt|is not|is no longer|has changed owners|was reassigned)(?: (?:to|his|hers?|\w+)*)?`},
	{"wrong_number", `(?:no one|nobody|noone) (?:here )?(?:by|with|of) that name(?: .*)?`},
	{"wrong_number", `(?:not|no longer|isnt|aint) (?:his|her|their|my|our) (?:number|phone)(?: anymore)?`},
	{"lose_number", `(?:lose|loose|forget|delete) (?:my|this) number`},
	{"cancel_texts", `(?:cancel|end|discontinue|turn off|disable|deactivate|kill|terminate) (?:{these} |my )*(?:texts|txts|text messages|text alerts|text subscription|messages|sms|alerts|texting|sms subscription|text updates|message subscription)`},

	// Spanish. Accents are gone by now: "deje" is the command and the past.
	{"not es_negacion", `(?:no|nunca|jamas|tampoco) (?:me |nos |le |te )?(?:dej[ae]n?s?|par[ae]n?s?|quit[ae]n?|borr[ae]n?|elimin[ae]n?|cancel[ae]n?|detengan?|quiero (?:que )?(?:me )?(?:dejen|dejar|pare|paren|quiten|parar|cancelar|borren|darme|dar)|pienso|voy a|me den|me den de)(?: de| me)?(?: \w*(?:escribi|escrib|envi|mand|llam|avis|text|contact|inform)\w*| baja)?`},
	{"not es_limites", `no (?:me |nos )?(?:escrib\w+|llam\w+|contact\w+|texte\w+|mand\w+|envi\w+|moleste\w*|marque\w*) (?:\w+ )?(?:antes|despues|hoy|manana|ahora|ahorita|hasta|cuando|mientras|entre|los|las|por la|en la|en el|durante|tan|todavia|aun|si|esta|este|a la|al trabajo|temprano|tarde|por correo|el|un|una|la|lo|mi|su)`},
	{"not es_otro", `(?:di|dimos|marque|puse|escribi|mande|envie|anote|tenia|tengo|copie|le di|les di) (?:\w+ )?(?:\w+ )?(?:numero|telefono) (?:equivocado|incorrecto|mal)`},
	{"not es_otro", `(?:deje|deja|dejo|dejamos) de (?:llamar|escribir|enviar|mandar) (?:a|al|la|el|los|las|por|un|una)`},
	{"no_escribir", `(?:ya )?no (?:me |nos |le |les )?(?:vuelvan? a |vuelvas a |sigan? |sigas |quiero que (?:me |nos )?|deseo que (?:me |nos )?)?(?:escriban?|escribas|escribir|escribirme|escribiendo|escribiendome|llamen?|llames|llamar|llamarme|llamando|llamandome|contacten?|contactes|contactar|contactarme|molesten?|molestes|molestar|molestarme|molestando|texteen?|textees|textear|textearme|mensajeen?|mensajear)(?: mas| nunca| jamas| por favor| ya| gracias| a este numero| de nuevo| otra vez| al| a mi)*{end}`},
	{"no_escribir", `(?:ya )?no (?:me |nos )?(?:escriban?|escribas|llamen?|llames|contacten?|contactes|molesten?|molestes|texteen?|textees|vuelvan? a \w+|vuelvas a \w+|sigan? \w+|sigas \w+)(?: \w+)? (?:mas|nunca|jamas|a este numero|por favor|de nuevo|otra vez|gracias)`},
	{"no_enviar", `(?:ya )?no (?:me |nos )?(?:vuelvan? a |sigan? |sigas |quiero que (?:me |nos )?)?(?:manden?|mandes|mandar|mandarme|mandando|mandandome|envien?|envies|enviar|enviarme|enviando|enviandome) (?:mas|mensajes?|textos?|sms|nada|esto|estos|propaganda|publicidad|spam|informacion|promociones)`},
	{"no_quiero", `(?:ya )?(?:no|tampoco) (?:quiero|deseo|quisiera|queremos|me interesa|autorizo|autorice|acepto|pedi|solicite)(?: (?:que me|que nos|que|esten|estes|sigan|mandando|enviando|mandandome|enviandome|seguir|recibir|recibiendo|ser|estar|mas|a|tener|obtener|saber))* (?:sus |estos |esos |tus |los |mas |mensajes?|textos?|sms|llamadas?|llamen?|escriban?|contacten?|contactado|contactada|molesten?|manden?|envien?|notificaciones|publicidad|propaganda|promociones|de ustedes|nada de ustedes|comunicaciones)+(?:mensajes?|textos?|sms|llamadas?|notificaciones|promociones|correos)?`},
	{"dejar_de", `(?:deje|dejen|deja|dejar|dejenme|dejame|pare|paren|para|parar|alto a|basta|basta ya) (?:de |con )?(?:los |las |tantos |sus |estos |esos |tantas |de |estar |estarme |andar |andarme )*(?:escribir(?:me|nos)?|escribiendo(?:me)?|llamando(?:me)?|mandando(?:me)?|molestando(?:me)?|llamar(?:me|nos)|mandar(?:me|nos)?|enviar(?:me|nos)?|molestar(?:me|nos)?|textear(?:me|nos)?|contactar(?:me|nos)?|mensajear(?:me)?|texto|mensajes|textos|llamadas|spam|propaganda|publicidad|acosar(?:me)?)`},
	{"quitar", `(?:quit\w*|saqu\w*|saca\w*|borr\w*|elimin\w*|remuev\w*|remover\w*|retir\w*|bajen\w*)(?: me| nos)?(?: (?:mi|este|nuestro|el) (?:numero|nombre|telefono|celular|contacto|datos)(?: de telefono)?)? (?:de|del) (?:la |las |su |sus |tu |esta |este |esa |todas |todos |los )*(?:listas?|base|bases|sistema|contactos|mensajes|grupo|registro|registros|directorio)`},
	{"quitar", `(?:quitenme|quiteme|saquenme|saqueme|borrenme|borreme|eliminenme|elimineme|remuevanme|remuevame|quitame|sacame|borrame|eliminame)(?: por favor| ya| gracias| de aqui| de ahi)*{end}`},
	{"quitar", `(?:borr\w+|elimin\w+|quit\w+|saqu\w+) (?:mi|este) (?:numero|telefono|celular|contacto)(?: por favor| ya| gracias)*{end}`},
	{"baja", `(?:darme|deme|denme|dame|demen|darnos|dennos|me (?:pueden? |podrian? |puedes )?(?:den|da|dan|de|dar)|quiero) (?:de )?(?:la )?baja(?: de (?:los|sus|estos|la|las|su|esta) (?:mensajes|lista|textos|notificaciones|suscripcion)| por favor| ya| gracias)*{end}`},
	{"baja", `(?:cancel\w+|anul\w+|detener|detengan?|suspend\w+) (?:la |mi |mis |los |las |sus |estos |esta |todos )*(?:suscripcion|mensajes|textos|sms|notificaciones|envio de mensajes|alertas)`},
	{"numero_equivocado", `(?:numero|persona|telefono|contacto) (?:equivocad[oa]|incorrect[oa]|erroneo|errado)|(?:se )?equivoc\w+ de (?:numero|persona|telefono)|equivocado de (?:numero|persona)`},
	{"numero_equivocado", `(?:(?:este|ese|ya) )?no es (?:mi|su|el) (?:numero|telefono|celular){end}`},
	{"en_paz", `dej[ae](?:n|s)?(?:me|nos)? en paz|(?:dejenme|dejeme|dejame|dejennos) (?:ya )?(?:en paz|tranquil[oa]|solo|sola)`},
	{"no_mas", `(?:no|ya no) mas (?:mensajes?|textos?|sms|llamadas?|spam|propaganda|publicidad)`},
	{"basta", `(?:ya )?basta (?:(?:de|con) (?:(?:los|tantos|sus|estos|tantas|las) )?(?:mensajes?|textos?|llamadas?|spam|molestar\w*|escribir\w*)|ya)(?: .*)?`},
}
