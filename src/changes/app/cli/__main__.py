from changes.app.cli.main import main

main()
