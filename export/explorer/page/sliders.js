// Rows of a label, a slider and its number.

export class Sliders {
  // rows: {label, low, high, value, parent}; changed is called with all values.
  constructor(rows, unit, changed) {
    this.unit = unit;
    this.inputs = rows.map((row, number) => this.add(row, number, () => changed(this.values)));
  }

  get values() {
    return this.inputs.map((input) => Number(input.value));
  }

  set values(values) {
    this.inputs.forEach((input, number) => {
      input.value = values[number];
      this.say(input);
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
      this.say(input);
      changed();
    });
    this.say(input);
    return input;
  }

  say(input) {
    const text = `${Number(input.value).toFixed(this.unit ? 0 : 1)}${this.unit}`;
    input.nextElementSibling.textContent = text;
    input.setAttribute("aria-valuetext", text);
  }
}
