// What the pages' text alone cannot do: buttons that copy code, numbers to the right in tables, names for the menus.
document.addEventListener('DOMContentLoaded', () => {
  for (const box of document.querySelectorAll('div.highlight')) {
    const button = document.createElement('button')
    button.className = 'copy'
    button.textContent = 'Copy'
    button.onclick = async () => {
      await navigator.clipboard.writeText(box.querySelector('pre').innerText)
      button.textContent = 'Copied'
      setTimeout(() => button.textContent = 'Copy', 2000)
    }
    box.append(button)
  }
  // What the theme leaves without a name, or calls a list that is none, for those who have the page read to them.
  for (const o of document.querySelectorAll('nav summary')) o.ariaLabel = `Pages below ${o.parentElement.parentElement.querySelector('a').innerText}`
  for (const o of document.querySelectorAll('dt.sig dl, dt.sig dd')) o.role = 'presentation'
  for (const table of document.querySelectorAll('table.table, table.dataframe')) {
    const rows = [...table.tBodies[0]?.rows ?? []]
    for (let i = 0; i < (rows[0]?.cells.length ?? 0); i++) {
      const cells = rows.map(o => o.cells[i]).filter(o => o?.innerText.trim())
      if (cells.length && cells.every(o => /^([-+]?[\d,]*\.?\d+(e[-+]\d+)?%?(, )?)+$|^NaN$|^inf$/.test(o.innerText.trim())))
        for (const row of table.rows) row.cells[i]?.classList.add('number')
    }
  }
})
