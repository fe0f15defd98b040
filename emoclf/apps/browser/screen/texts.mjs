/** The page's words in one of its languages. */

/** Something that went wrong, as a key of the text table with the values of its placeholders. */
export class Problem extends Error {
  /**
   * @param {string} key - Such as "problem_photo_text".
   * @param {Object<string, string|number>} [values] - For the placeholders.
   */
  constructor(key, values = {}) {
    super(key);
    this.key = key;
    this.values = values;
  }
}

/**
 * The words of all languages, one of them chosen. `neitherAbove` is how probable "neither" has to
 * be to be said of a face.
 */
export class Words {
  /**
   * @param {Object<string, Object<string, string>>} tables - Language to key to text.
   * @param {readonly string[]} wanted - The reader's languages, the best first.
   */
  constructor(tables, wanted) {
    this.tables = tables;
    this.neitherAbove = 1;
    const known = wanted.map((each) => each.toLowerCase().split("-")[0]);
    this.choose(known.find((each) => Object.hasOwn(tables, each)) ?? "en");
  }

  /** The languages, as code and name in the language itself. */
  get languages() {
    return Object.entries(this.tables).map(([code, table]) => [code, table.language_name]);
  }

  /** Change the language: "en", "de", ... */
  choose(language) {
    this.language = language;
    this.table = this.tables[language];
    const locale = this.table.locale;
    this.share = new Intl.NumberFormat(locale, { style: "percent" });
    this.two = new Intl.NumberFormat(locale, {
      minimumFractionDigits: 2,
      maximumFractionDigits: 2,
    });
    this.whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
    this.plural = new Intl.PluralRules(locale);
  }

  /** Whether there are words for a key. */
  has(key) {
    return Object.hasOwn(this.tables.en, key);
  }

  /**
   * Return a text; where a `count` is given, its form for one where the language has another.
   * @param {string} key - Of the text table.
   * @param {Object<string, string|number>} [values] - For the placeholders.
   */
  say(key, values = {}) {
    const one = `${key}_one`;
    const isOne = typeof values.count === "number" && this.plural.select(values.count) === "one";
    const chosen = isOne && this.has(one) ? one : key;
    const text = this.table[chosen] ?? this.tables.en[chosen] ?? chosen;
    return text.replace(/\{(\w+)\}/g, (all, name) => this.write(values[name] ?? all));
  }

  /** Return a number as this language writes whole numbers; texts as they are. */
  write(value) {
    return typeof value === "number" ? this.whole.format(value) : String(value);
  }

  /** Return what a problem, or any error, says to the reader. */
  explain(error) {
    if (error instanceof Problem && this.has(error.key)) return this.say(error.key, error.values);
    return this.say("problem_unknown", { detail: error.values?.detail || error.message });
  }

  /** Put the words into every element that names a key, and the names of controls. */
  apply(root) {
    for (const each of root.querySelectorAll("[data-text]")) {
      each.textContent = this.say(each.dataset.text);
    }
    for (const each of root.querySelectorAll("[data-label]")) {
      each.setAttribute("aria-label", this.say(each.dataset.label));
    }
    root.documentElement.lang = this.table.locale;
    root.title = this.say("title");
  }
}
