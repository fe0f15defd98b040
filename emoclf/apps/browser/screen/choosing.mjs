/** Tabs, and switches of two or three choices. */
import { makeElement } from "./elements.mjs";

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };

/**
 * Make tabs work: by pointer, and with the arrow keys, Home and End.
 * @param {HTMLElement} list - With role "tablist".
 * @param {(id: string) => void} opened - Called with the id of the tab that is opened.
 */
export function startTabs(list, opened) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const open = (tab) => {
    for (const each of tabs) {
      const isOpen = each === tab;
      each.setAttribute("aria-selected", String(isOpen));
      each.tabIndex = isOpen ? 0 : -1;
      document.getElementById(each.getAttribute("aria-controls")).hidden = !isOpen;
    }
    opened(tab.id);
  };
  for (const tab of tabs) tab.addEventListener("click", () => open(tab));
  list.addEventListener("keydown", (event) => {
    const shown = tabs.filter((tab) => !tab.hidden);
    const now = shown.indexOf(document.activeElement);
    const ends = { Home: 0, End: shown.length - 1 };
    const next = ends[event.key] ?? (now + (STEPS[event.key] ?? NaN) + shown.length) % shown.length;
    if (now < 0 || Number.isNaN(next)) return;
    event.preventDefault();
    shown[next].focus();
    open(shown[next]);
  });
}

/**
 * Fill a switch with its choices, as radio buttons.
 * @param {HTMLElement} holder - The element that becomes the switch.
 * @param {Array<[string, string]>} choices - Value and words of each.
 * @param {string} chosen - The value that is chosen.
 * @param {(value: string) => void} choose - Called when another is chosen.
 */
export function fillSwitch(holder, choices, chosen, choose) {
  const made = choices.map(([value, text]) => {
    const label = makeElement("label");
    const radio = makeElement("input");
    Object.assign(radio, { type: "radio", name: holder.id, value, checked: value === chosen });
    radio.addEventListener("change", () => choose(value));
    label.append(radio, makeElement("span", "", text));
    return label;
  });
  const hadFocus = holder.contains(document.activeElement);
  holder.replaceChildren(...made);
  if (hadFocus) holder.querySelector(":checked")?.focus();
}
