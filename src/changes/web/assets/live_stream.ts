// Server-sent events over fetch. EventSource would hide the status of the answer and every heartbeat, so it can tell
// neither a reader who was signed out nor a connection that died while the machine slept.
export type Outcome = "ended" | "signed out" | "refused";
export type Heard = (name: string, data: string) => void;

// Ends by an error when the connection breaks, or when `signal` cuts it. `alive` is called at every sign of life.
export async function listen(address: string, signal: AbortSignal, heard: Heard, alive: () => void): Promise<Outcome> {
  const answer = await fetch(address, { headers: { Accept: "text/event-stream" }, cache: "no-store", signal });
  if (answer.status === 401) return "signed out";
  if (answer.status >= 500 || answer.status === 429 || !answer.body) throw new TypeError(`the server said ${answer.status}`);
  if (!answer.ok) return "refused";
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return "ended";
    alive();
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) tell(block, heard);
  }
}

function tell(block: string, heard: Heard): void {
  const fields = new Map(block.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]));
  const name = fields.get("event");
  if (name) heard(name, fields.get("data") ?? "");
}
