// Talks to the chat with Vercel's AI SDK, as a page built on useChat does, and
// prints the messages that the page would show. It approves whatever is asked.
// Arguments: the address, then what to say.
import { pathToFileURL } from 'node:url';
import { createRequire } from 'node:module';

const require = createRequire(process.env.AI_SDK + '/');
const { AbstractChat, DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses } = await import(
  pathToFileURL(require.resolve('ai')).href
);

const [api, text] = process.argv.slice(2);

class State {
  messages = [];
  status = 'ready';
  error = undefined;
  pushMessage = (m) => { this.messages = [...this.messages, m]; };
  popMessage = () => { this.messages = this.messages.slice(0, -1); };
  replaceMessage = (i, m) => { this.messages = this.messages.map((old, at) => (at === i ? m : old)); };
  snapshot = (value) => structuredClone(value);
}

class Page extends AbstractChat {}

const state = new State();
const errors = [];
const page = new Page({
  id: 'ai-sdk-1',
  state,
  transport: new DefaultChatTransport({ api, headers: { 'X-Test-Owner': 'admin' } }),
  sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
  onError: (error) => errors.push(String(error)),
});

await page.sendMessage({ text });
for (const part of state.messages.at(-1).parts) {
  if (part.state === 'approval-requested') {
    await page.addToolApprovalResponse({ id: part.approval.id, approved: true });
  }
}
while (page.status === 'submitted' || page.status === 'streaming') {
  await new Promise((resolve) => setImmediate(resolve));
}
console.log(JSON.stringify({ errors, messages: state.messages }));
