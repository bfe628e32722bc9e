// Rows of a label, a slider and its number.

export class Sliders {
  // rows: {label, low, high, value, parent}; changed is called with all values, of which one is another.
  constructor(rows, unit, changed) {
    this.unit = unit;
    // A slider shows its end for a value beyond it, and only steps; the values themselves stay as they are.
    this.held = rows.map((row) => row.value);
    this.inputs = rows.map((row, number) => this.add(row, number, () => changed([...this.held])));
  }

  set values(values) {
    this.held = [...values];
    this.inputs.forEach((input, number) => {
      input.value = values[number];
      this.say(input, number);
    });
  }

  add({ label, low, high, value, parent }, number, changed) {
    const row = document.createElement("div");
    row.className = "slider";
    const text = Object.assign(document.createElement("label"), { textContent: label });
    const input = document.createElement("input");
    input.id = text.htmlFor = `${parent.id}-${number}`;
    Object.assign(input, { type: "range", min: low, max: high, step: (high - low) / 200, value });
    row.append(text, input, document.createElement("output"));
    parent.append(row);
    input.addEventListener("input", () => {
      this.held[number] = Number(input.value);
      this.say(input, number);
      changed();
    });
    this.say(input, number);
    return input;
  }

  say(input, number) {
    const digits = this.unit ? 0 : 1;
    // No minus before a zero.
    const text = `${(Number(this.held[number].toFixed(digits)) || 0).toFixed(digits)}${this.unit}`;
    input.nextElementSibling.textContent = text;
    input.setAttribute("aria-valuetext", text);
  }
}
