// Makes the chat page write: sends what is typed, shows the answer as it comes,
// and sends the answers to questions. Everything is put in as text, never as
// HTML.
(() => {
  "use strict";
  const chat = document.getElementById("chat");
  const said = document.getElementById("said");
  const form = document.getElementById("say");
  if (!chat || !form) return;
  const field = document.getElementById("message");
  const send = document.getElementById("send");
  const stop = document.getElementById("stop");
  const state = document.getElementById("state");
  const chips = {
    open: ["busy", "running"], done: ["good", "done"], failed: ["bad", "failed"],
    waiting: ["warn", "waits for you"], declined: ["idle", "declined"],
  };
  let running = null;
  let line = null;

  const fromTemplate = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);
  const follow = () => { said.scrollTop = said.scrollHeight; };
  const add = (id) => {
    document.getElementById("nothing-yet")?.remove();
    const made = fromTemplate(id);
    said.append(made);
    return made;
  };
  const modelLine = () => {
    if (!line) line = add("line-of-model");
    return line;
  };
  const card = (id) => said.querySelector(`[data-call="${CSS.escape(id)}"]`);
  const mark = (tool, what) => {
    const chip = tool.querySelector(".chip");
    chip.className = "chip " + chips[what][0];
    chip.textContent = chips[what][1];
  };
  const complain = (text) => {
    const p = document.createElement("p");
    p.className = "error";
    p.textContent = text;
    said.append(p);
  };

  const called = (e) => {
    let tool = card(e.callId);
    if (!tool) {
      tool = fromTemplate("tool-card");
      tool.dataset.call = e.callId;
      tool.querySelector("code").textContent = e.tool;
      modelLine().querySelector(".tools").append(tool);
    }
    if (e.arguments) tool.querySelector(".arguments").textContent = JSON.stringify(e.arguments, null, 2);
    if (e.text) tool.querySelector(".arguments").textContent = e.text;
    return tool;
  };

  const take = (e) => {
    switch (e.type) {
      case "start":
        if (!chat.dataset.conversation) {
          chat.dataset.conversation = e.conversationId;
          const path = "/chat/" + encodeURIComponent(e.conversationId);
          history.replaceState(null, "", path);
          const entry = document.createElement("li");
          const link = document.createElement("a");
          link.href = path;
          link.setAttribute("aria-current", "page");
          link.textContent = said.querySelector(".mine .text")?.textContent.slice(0, 80) || "New conversation";
          entry.append(link);
          document.getElementById("talks").prepend(entry);
        }
        break;
      case "step": // each reply of the model is a line of its own
        line = null;
        break;
      case "text.delta":
        modelLine().querySelector(".text").append(e.delta);
        break;
      case "tool.start":
      case "tool.call":
        called(e);
        break;
      case "tool.result": {
        const tool = called({ callId: e.callId, tool: e.tool });
        const result = tool.querySelector(".result");
        result.textContent = e.text || "";
        result.hidden = !e.text;
        mark(tool, e.code === "DECLINED" || e.code === "NOT_APPROVED" ? "declined" : e.isError ? "failed" : "done");
        tool.querySelector(".ask")?.remove();
        break;
      }
      case "approval.request": {
        const tool = called({ callId: e.callId, tool: e.tool });
        const question = fromTemplate("tool-question");
        for (const b of question.querySelectorAll("button")) b.dataset.approval = e.approvalId;
        tool.querySelector(".ask")?.remove();
        tool.append(question);
        tool.querySelector("details").open = true; // nobody should agree to what he has not seen
        mark(tool, "waiting");
        break;
      }
      case "error":
        complain(e.message);
        break;
      case "done":
        state.textContent = e.usage ? `${e.usage.inputTokens + e.usage.outputTokens} tokens` : "";
        break;
    }
    follow();
  };

  // Events may be cut anywhere between two chunks of the stream.
  const read = async (body) => {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const events = rest.split("\n\n");
      rest = events.pop();
      for (const one of events) {
        if (one.startsWith("data: ")) take(JSON.parse(one.slice(6)));
      }
    }
  };

  const busy = (on) => {
    send.disabled = on;
    stop.hidden = !on;
    state.textContent = on ? "Writing …" : state.textContent;
    for (const b of said.querySelectorAll("[data-decide]")) b.disabled = on;
  };

  const turn = async (body) => {
    running = new AbortController();
    line = null;
    busy(true);
    try {
      const answer = await fetch("/chat/turn", {
        method: "POST", signal: running.signal,
        headers: { "Content-Type": "application/json", "X-Dfm-Csrf": chat.dataset.csrf },
        body: JSON.stringify({ conversationId: chat.dataset.conversation, ...body }),
      });
      if (answer.headers.get("Content-Type")?.startsWith("text/event-stream")) {
        await read(answer.body);
      } else if (answer.redirected) {
        location.reload();
      } else {
        const told = await answer.json().catch(() => null);
        complain(told?.error?.message || "The page is out of date. Reload it and try again.");
      }
    } catch (error) {
      complain(error.name === "AbortError" ? "Stopped. What was said so far is kept." : "The connection was lost. Reload the page to see what was kept.");
    } finally {
      running = null;
      busy(false);
      follow();
    }
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text || running) return;
    add("line-of-mine").querySelector(".text").textContent = text;
    field.value = "";
    for (const ask of said.querySelectorAll(".ask")) ask.remove(); // going on is no yes
    turn({ message: text });
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  stop.addEventListener("click", () => running?.abort());
  said.addEventListener("click", (event) => {
    const button = event.target.closest("[data-decide]");
    if (!button || running) return;
    turn({ approvals: [{ approvalId: button.dataset.approval, approved: button.dataset.decide === "yes" }] });
  });
  follow();
})();
