// Asks the server that this page came from, by TensorFlow Serving's REST contract.

export class Server {
  constructor(name) {
    this.url = `../v1/models/${encodeURIComponent(name)}:predict`;
  }

  // Rows of a signature's inputs to rows of its outputs; of a single output its values alone, as the contract has it.
  // Numbers that are not finite come as null.
  async predict(signature, instances) {
    let answer;
    try {
      const body = JSON.stringify({ signature_name: signature, instances });
      answer = await fetch(this.url, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    } catch {
      throw new Error("the server does not answer; is it still running?");
    }
    const values = parse(await answer.text());
    if (!answer.ok) throw new Error(values.error);
    return values.predictions;
  }

  // Hands of codes: synthetic and real [S][S][1], joints_norm [J][3].
  hands(codes) {
    return this.predict("generate", codes.map((code) => ({ code })));
  }
}

// JSON as Python writes it: numbers that are not finite have names, which are looked for only where one is.
function parse(text) {
  const finite = !/NaN|Infinity/.test(text);
  return JSON.parse(finite ? text : text.replace(/(?<=[[,:]\s*)-?(NaN|Infinity)(?=\s*[,\]}])/g, "null"));
}

// The newest request wins: what comes in while one runs replaces what waits.
export function latest(run, fail) {
  let running = false;
  let waiting = null;
  return async function ask(value) {
    waiting = { value };
    if (running) return;
    running = true;
    while (waiting) {
      const next = waiting.value;
      waiting = null;
      try {
        await run(next);
      } catch (error) {
        fail(error);
      }
    }
    running = false;
  };
}
