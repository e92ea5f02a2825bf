// What the pages' text alone cannot do: buttons that copy code, numbers to the right in tables, outputs that may wrap, names for the menus.
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
  for (const o of document.querySelectorAll('.cell_output pre')) if (!/\S {2,}\S|^ /m.test(o.innerText)) o.classList.add('prose')
  for (const table of document.querySelectorAll('table.table, table.dataframe')) {
    const rows = [...table.tBodies[0]?.rows ?? []], last = (row, i) => row.cells[row.cells.length - 1 - i] // counted from the right, since a label that spans rows stands in the first of them
    for (let i = 0; i < (rows[0]?.cells.length ?? 0); i++) {
      const cells = rows.map(o => last(o, i)).filter(o => o?.innerText.trim())
      if (cells.length && cells.every(o => /^([-+]?[\d,]*\.?\d+(e[-+]\d+)?%?(, )?)+$|^NaN$|^inf$/.test(o.innerText.trim())))
        for (const row of table.rows) last(row, i)?.classList.add('number')
    }
  }
})
